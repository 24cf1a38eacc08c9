// The picture: the boxes before generation, previews during it, then the result.
const root = element.querySelector(".canvas");
let boxes = true, share = 50;

const boxElement = (each) => {
  const [x0, y0, x1, y1] = each.box.map((edge) => 100 * edge);
  return make("div", { class: "box", style: `--on: ${each.colour}; left: ${x0}%; top: ${y0}%; width: ${x1 - x0}%; height: ${y1 - y0}%` },
    make("span", {}, each.label));
};
const frame = (kind, ...content) => make("div", { class: `frame ${kind}` }, ...content);

const progressBar = (value) => {
  const part = value.steps ? value.done / value.steps : 0;
  const left = value.done ? `, about ${Math.max(1, Math.round(value.left))} s left` : "";
  const text = value.steps ? `Step ${value.done} of ${value.steps}${left}` : value.waiting || "Preparing";
  return make("div", { class: "job-progress", role: "status" },
    make("div", { class: `bar${value.steps ? "" : " unknown"}` }, make("i", { style: `width: ${100 * part}%` })), make("p", {}, text));
};

const toggle = (text, on, write) => {
  const input = make("input", { type: "checkbox" });
  input.checked = on;
  input.addEventListener("change", () => write(input.checked));
  return make("label", { class: "toggle" }, input, text);
};

const comparison = (value) => {
  const guided = make("img", { src: value.image, alt: "with layout guidance", class: "over" });
  const line = make("div", { class: "line" });
  const input = make("input", { type: "range", min: 0, max: 100, value: share, class: "compare", "aria-label": "Left of the line without layout guidance, right of it with" });
  const move = () => {
    share = Number(input.value);
    guided.style.clipPath = `inset(0 0 0 ${share}%)`;
    line.style.left = `${share}%`;
  };
  input.addEventListener("input", move);
  move();
  return [make("img", { src: value.unguided, alt: "without layout guidance" }), guided, line,
    make("span", { class: "side left" }, "without guidance"), make("span", { class: "side right" }, "with guidance"), input];
};

const done = (value) => {
  const shown = value.film ? [make("img", { src: value.film, alt: "film" })]
    : value.unguided ? comparison(value) : [make("img", { src: value.image, alt: value.prompt })];
  const over = make("div", { class: "boxes" }, value.film ? [] : value.boxes.map(boxElement));
  over.hidden = !boxes;
  const choice = value.boxes.length && !value.film ? toggle("Show the box of each sound", boxes, (on) => { boxes = on; over.hidden = !on; }) : null;
  return [
    frame("done", ...shown, over),
    choice,
    make("p", { class: "caption" }, make("b", {}, value.prompt), ` · seed ${value.seed} · ${value.seconds.toFixed(1)} s`),
    ...value.notes.map((note) => make("p", { class: "note" }, note)),
  ];
};

const render = () => {
  const value = props.value || { kind: "empty" };
  const kinds = {
    empty: () => [frame("empty", make("p", {}, value.text || "The picture will appear here. Start with a recording."))],
    sketch: () => [frame("sketch", ...value.boxes.map(boxElement),
      value.boxes.length ? null : make("p", {}, "No sound has a box: the model places each one freely.")),
      make("p", { class: "caption" }, value.boxes.length ? "The box of each sound." : "")],
    running: () => [frame("running", value.image ? make("img", { src: value.image, alt: "preview" }) : null, ...value.boxes.map(boxElement)), progressBar(value)],
    done: () => done(value),
  };
  root.replaceChildren(...(kinds[value.kind] || kinds.empty)().filter(Boolean));
};
watch("value", render);
render();
