"""The roof: recording -> Plan -> Result. It alone knows `audiotoken`, `spatial` and `guidance` together."""
