"""The style of the page, for light and dark mode, wide and narrow screens. No scripts."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #fbfaf8; --card: #fff; --ink: #22252b; --faint: #666c76; --grid: #dfe2e6; --accent: #c2410c;
  --c0: var(--accent);
  --c1: #1d6fb8; --c2: #3f8f3a; --c3: #8b4fb0; --c4: #b8860b; --c5: #0f8b8d; --c6: #a83a6b; --c7: #5b6470; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #17181b; --card: #202226; --ink: #eceae6; --faint: #a2a7b0; --grid: #3a3d44; --accent: #ff8a50;
  --c1: #6cb2f0; --c2: #7cc576; --c3: #c795e6; --c4: #e3b547; --c5: #4fc3c5; --c6: #e882b0; --c7: #a5aebb; } }
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, sans-serif; background: var(--paper); color: var(--ink); }
body { margin: 0 auto; max-width: 72rem; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.5rem, 4vw, 2.4rem); line-height: 1.2; letter-spacing: -.02em; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: 0 0 .75rem; max-width: 46rem; }
section { margin-top: 2.5rem; padding-top: 1.5rem; border-top: 1px solid var(--grid); }
.faint, figcaption, dt { color: var(--faint); }
.faint, figcaption { font-size: .9rem; }
a { color: inherit; }
img, svg, video { display: block; max-width: 100%; }
svg text { font-family: system-ui, sans-serif !important; }
figure { margin: 0; min-width: 0; }
figcaption { margin-top: .4rem; max-width: 46rem; }
.sound { color: var(--on, var(--ink)); border-bottom: 2px solid currentColor; white-space: nowrap; }
.dot { display: inline-block; width: .75em; height: .75em; border-radius: 50%; background: var(--on);
  margin-right: .5em; flex: none; }
.two { display: grid; gap: 1.5rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  align-items: start; }
.two > svg, .two > figure > svg { width: 100%; height: auto; }
svg.plot, .plot > svg { width: 100%; height: auto; max-width: 42rem; }
header .two { margin-top: 1.5rem; }
.picture { position: relative; overflow: hidden; border-radius: .4rem; }
.picture > img { width: 100%; height: auto; }
.box { position: absolute; border: 3px solid var(--on); border-radius: 2px; }
.box > span { position: absolute; left: 0; top: 0; font-size: .8rem; line-height: 1.3; padding: 0 .35em;
  color: #fff; background: #000a; white-space: nowrap; }
.small .box { border-width: 2px; } .small .box > span { display: none; }
body:has(#boxes:not(:checked)) .shown .box { display: none; }
.sheet > svg { width: 100%; height: auto; max-height: 34rem; background: #fafafa; border-radius: .4rem; }
.toggle { display: flex; gap: .5rem; align-items: center; min-height: 2.75rem; cursor: pointer; }
.toggle input { width: 1.2rem; height: 1.2rem; accent-color: var(--accent); margin: 0; }
.pictures { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)); }
.strip { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(6rem, 1fr); gap: .5rem; }
.wide { overflow-x: auto; max-width: 100%; padding-bottom: .25rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.maps img { image-rendering: pixelated; }
.maps { margin-bottom: 1rem; }
.maps h3 { display: flex; align-items: center; margin-bottom: .4rem; }
.maps .picture { border-radius: 0; }
ul.where { list-style: none; margin: 0 0 1rem; padding: 0; }
ul.where li { display: flex; align-items: baseline; margin-bottom: .35rem; }
ul.notes { margin: 0 0 1rem; padding-left: 1.2rem; max-width: 46rem; }
ul.notes li { margin-bottom: .3rem; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--grid); border-top: 4px solid var(--on); border-radius: .4rem;
  padding: 1rem; max-width: 36rem; min-width: 0; }
.card p { margin: .3rem 0; }
audio { width: 100%; max-width: 42rem; margin: .5rem 0; display: block; }
.bars { display: grid; grid-template-columns: minmax(4rem, max-content) minmax(3rem, 1fr) max-content;
  gap: .25rem .75rem; align-items: center; max-width: 46rem; font-size: .92rem; margin: .5rem 0; }
.bars > i { display: block; height: .8rem; min-width: 2px; background: var(--on, var(--accent)); border-radius: 2px; }
.bars > i.low { background: var(--faint); opacity: .55; }
.bars > b { font-weight: 400; font-variant-numeric: tabular-nums; color: var(--faint); text-align: right; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin-bottom: .75rem; }
th { font-weight: 600; text-align: left; padding: .4rem .75rem; }
thead th { text-align: center; }
td { text-align: center; padding: .5rem .9rem; border: 1px solid var(--grid);
  background: color-mix(in srgb, var(--on) calc(var(--part) * 55%), transparent); }
td.pair { outline: 3px solid var(--on); outline-offset: -3px; font-weight: 700; }
.sorting { border: 0; padding: 0; margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: 0 1.5rem;
  align-items: center; }
.sorting legend { float: left; padding: 0; color: var(--faint); }
.gallery { display: grid; gap: 1.25rem; margin-top: 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.gallery .card { border-top-width: 1px; order: var(--name); }
.gallery h2 { font-size: 1rem; margin: .75rem 0 .25rem; }
body:has(#by-sound:checked) .gallery .card { order: var(--sound); }
body:has(#by-score:checked) .gallery .card { order: var(--score); }
.gallery ul.where { margin: .5rem 0 0; } .gallery ul.where:empty { display: none; }
.shots.several { display: grid; gap: .4rem; grid-template-columns: 1fr 1fr; }
.ears { display: flex; gap: .6rem; align-items: center; font-size: .8rem; color: var(--faint); margin: .6rem 0; }
.line { position: relative; flex: 1; height: 2px; background: linear-gradient(to right, var(--grid) 49.5%,
  var(--faint) 49.5%, var(--faint) 50.5%, var(--grid) 50.5%); }
.line i { position: absolute; width: .8rem; height: .8rem; border-radius: 50%; background: var(--on);
  top: 50%; transform: translate(-50%, -50%); border: 2px solid var(--card); }
.picture .heard { position: absolute; top: 0; bottom: 0; width: 3px; margin-left: -1.5px; background: var(--on);
  box-shadow: 0 0 0 1px #fff9; }
.picture .seen { position: absolute; width: .9rem; height: .9rem; border-radius: 50%; background: var(--on);
  border: 2px solid #fff; transform: translate(-50%, 50%); }
.problem { color: var(--accent); }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .25rem 1.25rem; margin: 0; }
dd { margin: 0; min-width: 0; }
@media (max-width: 30rem) { .strip { grid-auto-columns: 6.5rem; } }
@media print { audio, .toggle { display: none; } section { break-inside: avoid; } }
"""
