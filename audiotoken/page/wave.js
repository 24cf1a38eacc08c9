// Both channels over time, and when each sound is active.
const root = element.querySelector(".wave");

const devices = navigator.mediaDevices;
if (devices && !devices.inStereo) {
  // by default browsers record one channel, processed for speech
  const getUserMedia = devices.getUserMedia.bind(devices);
  const stereo = { channelCount: { ideal: 2 }, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  devices.getUserMedia = (options) =>
    getUserMedia(options && options.audio ? { ...options, audio: { ...(options.audio === true ? {} : options.audio), ...stereo } } : options);
  devices.inStereo = true;
}

const render = () => {
  const value = props.value;
  if (!value || !value.channels) return root.replaceChildren();
  const columns = 360, row = 60, lane = 7;
  const height = value.channels.length * row + value.sources.length * lane + 4;
  const chart = draw("svg", {
    viewBox: `0 0 ${columns} ${height}`, preserveAspectRatio: "none", role: "img",
    style: `height: ${height}px`,
    "aria-label": `Waveform of ${value.channels.length} channels, ${value.seconds.toFixed(1)} seconds`,
  });
  value.channels.forEach((path, i) => {
    const middle = (i + 0.5) * row;
    chart.append(
      draw("line", { x1: 0, x2: columns, y1: middle, y2: middle, class: "axis" }),
      draw("path", { d: path, transform: `translate(0 ${middle}) scale(1 ${row * 0.47})`, class: "channel" }),
    );
  });
  value.sources.forEach((source, i) => {
    const y = value.channels.length * row + 4 + i * lane;
    for (const [start, stop] of source.spans) {
      chart.append(draw("rect", {
        x: (start / value.seconds) * columns, width: Math.max(((stop - start) / value.seconds) * columns, 1),
        y, height: lane - 3, rx: 1, style: `fill: ${source.colour}`,
      }));
    }
  });
  const names = make("div", { class: "names" }, value.names.map((name) => make("span", { style: `height: ${row}px` }, name)));
  const times = make("div", { class: "times" }, make("span", {}, "0 s"), make("span", {}, `${value.seconds.toFixed(1)} s`));
  root.replaceChildren(names, make("div", { class: "chart" }, chart, times));
};
watch("value", render);
render();
