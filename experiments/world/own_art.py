"""Drawings of our own, where no emoji set has one that can be named at 40 pixels: plain shapes, few colours.

Every drawing is an SVG of 100 x 100; vehicles look to the right.
"""

_TEETH = "".join(f'<path d="M{x} {y} l4 {s} l4 {-s}z"/>' for x in range(48, 90, 8) for y, s in ((42, -6), (64, 6)))

CHAINSAW = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<g fill="#3b4048"><rect x="40" y="42" width="58" height="22" rx="11"/>{_TEETH}</g>
<rect x="44" y="48" width="47" height="10" rx="5" fill="#dfe5ea"/>
<path d="M9 38 v-6 a13 13 0 0 1 13 -13 h12 a10 10 0 0 1 10 10 v9" fill="none" stroke="#3b4048" stroke-width="8"/>
<path d="M10 36 h34 a7 7 0 0 1 7 7 v24 a9 9 0 0 1 -9 9 H12 a9 9 0 0 1 -9 -9 V43 a7 7 0 0 1 7 -7z" fill="#f26a1b"/>
<circle cx="25" cy="56" r="12" fill="#3b4048"/><circle cx="25" cy="56" r="5" fill="#ffe08a"/>
</svg>"""

AIRPLANE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<path d="M4 20 h13 l16 26 h-22z" fill="#d6262c"/>
<path d="M8 44 h66 q22 2 22 14 q0 9 -20 9 H28 Q10 66 8 44z" fill="#f4f6f8" stroke="#59636e" stroke-width="3"/>
<path d="M46 58 h18 l-22 30 h-12z" fill="#d6262c"/>
<path d="M2 43 h20 l-4 9 h-14z" fill="#d6262c"/>
<path d="M78 47 q10 2 13 8 h-13z" fill="#2b7fd0"/>
<g fill="#2b7fd0"><circle cx="34" cy="52" r="4"/><circle cx="46" cy="52" r="4"/><circle cx="58" cy="52" r="4"/>
<circle cx="69" cy="52" r="4"/></g></svg>"""

HELICOPTER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<rect x="22" y="16" width="76" height="7" rx="3.5" fill="#3b4048"/>
<rect x="57" y="20" width="7" height="16" fill="#3b4048"/>
<path d="M4 40 h40 v14 L6 48z" fill="#e8a317"/><path d="M1 26 h9 l3 24 h-9z" fill="#e8a317"/>
<circle cx="6" cy="40" r="9" fill="none" stroke="#3b4048" stroke-width="4"/>
<path d="M38 34 h30 q28 2 28 28 q0 12 -14 12 H52 q-16 0 -20 -24z" fill="#fbc02d"/>
<path d="M66 40 q20 2 22 20 H66z" fill="#2b6fb5"/><rect x="44" y="42" width="15" height="14" rx="3" fill="#2b6fb5"/>
<path d="M50 74 v12 M78 74 v12" stroke="#3b4048" stroke-width="5"/>
<path d="M36 87 h52 q6 0 8 -6" fill="none" stroke="#3b4048" stroke-width="6" stroke-linecap="round"/></svg>"""

WAVE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<path d="M2 96 V72 C2 34 24 6 58 6 C82 6 96 22 96 40 C96 52 86 58 78 54 C84 48 80 38 68 38 C54 38 46 50 48 62
C50 78 68 84 98 84 V96z" fill="#1769aa"/>
<path d="M14 96 V74 C14 46 30 22 56 20 C40 32 34 46 36 62 C38 82 60 92 98 92 V96z" fill="#3ea2e5"/>
<path d="M22 22 C34 8 50 2 64 4 C86 6 100 22 97 42 C95 54 86 60 77 55 C86 54 88 44 84 36 C78 24 66 17 54 17
C42 17 34 20 22 30z" fill="#f6fbff"/></svg>"""

# Drops with a white edge: blue ones vanished before a river or the sea.
RAIN = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<g fill="#76838f"><circle cx="26" cy="36" r="18"/><circle cx="50" cy="24" r="22"/><circle cx="76" cy="34" r="18"/>
<rect x="24" y="32" width="54" height="22" rx="10"/></g>
<g fill="#2a86f0" stroke="#f4f8fc" stroke-width="4"><path d="M20 58 q-11 15 -11 22 a11 11 0 0 0 22 0 q0 -7 -11 -22z"/>
<path d="M50 62 q-11 15 -11 22 a11 11 0 0 0 22 0 q0 -7 -11 -22z"/>
<path d="M80 58 q-11 15 -11 22 a11 11 0 0 0 22 0 q0 -7 -11 -22z"/></g></svg>"""

BABY = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<circle cx="9" cy="54" r="8" fill="#e8a98a"/><circle cx="91" cy="54" r="8" fill="#e8a98a"/>
<circle cx="50" cy="54" r="42" fill="#fbcfb4"/>
<path d="M50 4 q-18 4 -10 20 q4 8 14 6 q-10 -4 -6 -12 q3 -6 12 -4 q-2 -9 -10 -10z" fill="#6b4226"/>
<path d="M20 46 q10 -10 20 0 M60 46 q10 -10 20 0" fill="none" stroke="#3b2a20" stroke-width="5" stroke-linecap="round"/>
<path d="M30 52 q-14 18 -10 26 q4 6 10 3 q6 -4 0 -29z M70 52 q14 18 10 26 q-4 6 -10 3 q-6 -4 0 -29z" fill="#2f9df4"/>
<ellipse cx="50" cy="74" rx="15" ry="13" fill="#7c1f24"/>
<path d="M39 82 q11 -9 22 0 q-11 9 -22 0z" fill="#f0797a"/></svg>"""

DRAWINGS: dict[str, str] = {
    "chainsaw": CHAINSAW,
    "airplane": AIRPLANE,
    "helicopter": HELICOPTER,
    "wave": WAVE,
    "rain": RAIN,
    "baby": BABY,
}
