// The directions of the sounds: dots on a half circle that can be dragged, and a card for each sound.
const root = element.querySelector(".places");
const MODES = [["placed", "In its box"], ["anywhere", "Anywhere"], ["out", "Leave out"]];
let value = null, sent = 0, timer = null, updates = [];

const pointAt = (azimuth, radius) => {
  const angle = (azimuth * Math.PI) / 180;
  return [radius * Math.sin(angle), -radius * Math.cos(angle)];
};
const wedge = (from, to, radius) => {
  const [a, b] = [pointAt(from, radius), pointAt(to, radius)];
  return `M0 0 L${a[0]} ${a[1]} A${radius} ${radius} 0 0 1 ${b[0]} ${b[1]}Z`;
};
const clampAzimuth = (azimuth) => Math.min(value.limit, Math.max(-value.limit, azimuth));

const send = () => {
  clearTimeout(timer);
  const now = Date.now();
  if (now - sent < 150) {
    timer = setTimeout(send, 150);
    return;
  }
  sent = now;
  props.value = JSON.parse(JSON.stringify(value));
  trigger("edit");
};
const change = (i, changed) => {
  Object.assign(value.sources[i], changed);
  if (changed.azimuth !== undefined && value.sources[i].mode === "anywhere") value.sources[i].mode = "placed";
  updates.forEach((update) => update());
  send();
};

const background = () => {
  const half = value.fov / 2;
  const ticks = [-90, -60, -30, 0, 30, 60, 90].map((tick) => {
    const [x, y] = pointAt(tick, 111), [a, b] = [pointAt(tick, 0), pointAt(tick, 100)];
    return [
      draw("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: "grid" }),
      draw("text", { x, y: y + 3, class: "tick", "text-anchor": "middle" }, `${Math.abs(tick)}°`),
    ];
  });
  return [
    draw("path", { d: wedge(-90, 90, 100), class: "ground" }),
    draw("path", { d: wedge(-Math.min(half, 90), Math.min(half, 90), 100), class: "view" }),
    ticks,
    draw("circle", { r: 50, class: "grid ring", "clip-path": "inset(0 0 50% 0)" }),
    draw("circle", { r: 5, class: "listener" }),
  ];
};

const dot = (source, i) => {
  const spread = draw("path", { style: `fill: ${source.colour}`, class: "spread" });
  const ray = draw("line", { x1: 0, y1: 0, style: `stroke: ${source.colour}`, class: "ray" });
  const path = draw("path", { style: `stroke: ${source.colour}`, class: "way" });
  const ghost = draw("circle", { r: 4, style: `stroke: ${source.colour}`, class: "ghost" });
  const handle = draw("g", { class: "handle", tabindex: 0, role: "slider", "aria-label": `Azimuth of ${source.name}`,
    "aria-valuemin": -value.limit, "aria-valuemax": value.limit },
    draw("circle", { r: 16, class: "reach" }),
    draw("circle", { r: 8.5, style: `fill: ${source.colour}` }),
    draw("text", { y: 3.4, "text-anchor": "middle" }, String(source.number)));
  const radius = 84 - 17 * (i % 3);
  updates.push(() => {
    const placed = source.mode === "placed";
    const wide = Math.max(source.spread, 3), [x, y] = pointAt(source.azimuth, radius);
    for (const part of [spread, ray, path]) part.style.display = placed ? "" : "none";
    handle.classList.toggle("off", !placed);
    spread.setAttribute("d", wedge(clampAzimuth(source.azimuth - wide), clampAzimuth(source.azimuth + wide), radius));
    ray.setAttribute("x2", x);
    ray.setAttribute("y2", y);
    handle.setAttribute("transform", `translate(${x} ${y})`);
    handle.setAttribute("aria-valuenow", Math.round(source.azimuth));
    handle.setAttribute("aria-valuetext", formatAzimuth(source.azimuth));
    handle.setAttribute("aria-label", `Azimuth of ${source.name}`);
    const [u, v] = pointAt(source.heard, radius);
    ghost.setAttribute("transform", `translate(${u} ${v})`);
    ghost.style.display = Math.abs(source.heard - source.azimuth) > 0.5 && placed ? "" : "none";
    if (source.path && source.path.length) {
      const shift = source.azimuth - source.heard;
      path.setAttribute("d", "M" + source.path.map((each) => pointAt(clampAzimuth(each + shift), 95).join(" ")).join("L"));
    }
  });
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(handle.ownerSVGElement.getScreenCTM().inverse());
    change(i, { azimuth: Math.round(clampAzimuth((Math.atan2(point.x, -point.y) * 180) / Math.PI)) });
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (!step) return;
    event.preventDefault();
    change(i, { azimuth: Math.round(clampAzimuth(source.azimuth + step)) });
  });
  return [spread, ray, path, ghost, handle];
};

const slider = (title, attributes, read, write, format) => {
  const input = make("input", { type: "range", "aria-label": title, ...attributes });
  const output = make("output", {});
  input.addEventListener("input", () => write(Number(input.value)));
  updates.push(() => {
    input.value = read();
    output.textContent = format(read());
  });
  return make("label", { class: "slider" }, make("span", {}, title), input, output);
};

const modes = (source, i) => {
  const buttons = MODES.map(([mode, text]) => make("button", { type: "button", onclick: () => change(i, { mode }) }, text));
  updates.push(() => buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(MODES[k][0] === source.mode))));
  return make("div", { class: "modes", role: "group", "aria-label": `How to draw ${source.name}` }, buttons);
};

const words = (source, i) => {
  if (!value.words || !value.words.length) return null;
  const keys = ["auto", "own", ...value.words.map((word, k) => String(k))];
  const options = keys.map((key) => make("option", { value: key }));
  const select = make("select", { onchange: () => change(i, { word: select.value }) }, options);
  updates.push(() => {
    const own = source.given ? `“${source.given}”` : "the sound itself";
    const auto = source.given ? `${own} (its name)` : source.auto ? `“${source.auto}” (matched)` : `${own} (no word matched)`;
    [auto, `${own}, added to the prompt`, ...value.words.map((word) => `“${word}”`)].forEach((text, k) => { options[k].textContent = text; });
  });
  select.value = source.word;
  return make("label", { class: "word" }, make("span", {}, "Drawn as"), select);
};

const findStrange = (name) => (name.toLowerCase().match(/\p{L}+/gu) || []).filter((word) => value.vocabulary && !value.vocabulary.includes(word));

// The name of a sound: a field in which any other can be typed, with a line about words that the model has never read.
const title = (source, i) => {
  if (source.subject === undefined) return [make("h3", {}, source.name), null];
  const field = make("input", { class: "name", value: source.name, maxlength: 60, spellcheck: "false", autocomplete: "off",
    "aria-label": `Name of sound ${source.number}`, title: "Type what this is, if it was not recognised" });
  const line = make("p", { class: "strange", role: "status" });
  field.addEventListener("change", () => {
    const given = field.value.trim() === source.subject ? "" : field.value.trim();
    const mode = given && source.mode === "out" ? "placed" : source.mode;
    change(i, { given, name: given || source.subject, mode });
  });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") field.blur(); });
  updates.push(() => {
    if (document.activeElement !== field || !source.given) field.value = source.name;
    const strange = findStrange(source.given);
    line.textContent = strange.length ? `This model does not know “${strange.join("”, “")}”; it draws something else.` : "";
  });
  return [field, line];
};

const play = (source) => {
  if (!source.player) return null;
  const sound = new Audio(source.player);
  const button = make("button", { type: "button", class: "play", "aria-label": `Play ${source.name} alone`, title: "Play this sound alone" }, "▶");
  const stop = () => { sound.pause(); sound.currentTime = 0; };
  button.addEventListener("click", () => {
    const paused = sound.paused;
    root.dispatchEvent(new Event("stop-players"));
    if (paused) sound.play();
  });
  root.addEventListener("stop-players", stop);
  sound.addEventListener("play", () => { button.textContent = "■"; });
  for (const event of ["pause", "ended"]) sound.addEventListener(event, () => { button.textContent = "▶"; });
  return button;
};

const card = (source, i) => {
  const { low, high, factor, unit } = value.slider;
  const [name, strange] = title(source, i);
  const unsure = source.known !== false ? null
    : make("span", { class: "unsure", title: "No known sound has a high score; this is the best match." }, "uncertain");
  if (unsure) updates.push(() => { unsure.style.display = source.given ? "none" : ""; });
  const bars = (source.labels || []).map(([name, score]) => [
    make("span", {}, name),
    make("i", { style: `--part: ${score}` }),
    make("b", {}, score.toFixed(2)),
  ]);
  const section = make("section", { class: "card", style: `--on: ${source.colour}`, "aria-label": source.name },
    make("header", {},
      make("span", { class: "number" }, String(source.number)),
      name,
      unsure,
      play(source)),
    strange,
    source.details ? make("p", { class: "details" }, source.details) : null,
    source.labels ? make("div", { class: "bars", role: "group", "aria-label": "Recognised as" }, make("em", {}, "Recognised as"), bars.flat()) : null,
    source.labels ? modes(source, i) : null,
    slider("Azimuth", { min: -value.limit, max: value.limit, step: 1 }, () => source.azimuth, (azimuth) => change(i, { azimuth }), formatAzimuth),
    slider(value.slider.title, { min: factor * low, max: factor * high, step: 1 }, () => factor * source.size,
      (size) => change(i, { size: size / factor }), (size) => `${Math.round(size)} ${unit}`),
    words(source, i));
  updates.push(() => section.setAttribute("data-mode", source.mode));
  return section;
};

const render = () => {
  const given = props.value;
  if (given && value && given.stamp === value.stamp) return;
  root.dispatchEvent(new Event("stop-players"));
  clearTimeout(timer);
  value = given ? JSON.parse(JSON.stringify(given)) : null;
  updates = [];
  if (!value || value.kind !== "scene") {
    value = null;
    const text = "The sounds and their directions will appear here. You can correct them before you generate a picture.";
    root.replaceChildren(make("p", { class: "empty" }, text));
    return;
  }
  const dots = value.sources.map(dot).flat();
  const handles = dots.filter((part) => part.classList.contains("handle"));
  const chart = draw("svg", { viewBox: "-124 -120 248 132", class: "circle" },
    ...background().flat(2), ...dots.filter((part) => !handles.includes(part)), ...handles);
  root.replaceChildren(...[
    value.summary ? make("p", { class: "summary" }, value.summary) : null,
    ...(value.notes || []).map((note) => make("p", { class: "note" }, note)),
    value.sources.length ? chart : null,
    value.sources.length ? make("p", { class: "hint" }, `View from above, straight ahead is up. The picture covers ${value.fov / 2}° to each side. Drag a dot, or use the arrow keys.`) : null,
    make("div", { class: "cards" }, value.sources.map(card)),
  ].filter(Boolean));
  updates.forEach((update) => update());
};
watch("value", render);
render();
