// The picture: where things will be, then as it is painted, then done.
const root = element.querySelector(".canvas");
let boxes = true, share = 50;

const marked = (each) => {
  const [x0, y0, x1, y1] = each.box.map((edge) => 100 * edge);
  return make("div", { class: "box", style: `--on: ${each.colour}; left: ${x0}%; top: ${y0}%; width: ${x1 - x0}%; height: ${y1 - y0}%` },
    make("span", {}, each.label));
};
const frame = (kind, ...content) => make("div", { class: `frame ${kind}` }, ...content);

const bar = (value) => {
  const part = value.steps ? value.done / value.steps : 0;
  const left = value.done ? `, about ${Math.max(1, Math.round(value.left))} s left` : "";
  const said = value.steps ? `Step ${value.done} of ${value.steps}${left}` : value.waiting || "Getting ready";
  return make("div", { class: "doing", role: "status" },
    make("div", { class: `bar${value.steps ? "" : " unknown"}` }, make("i", { style: `width: ${100 * part}%` })), make("p", {}, said));
};

const toggle = (text, on, write) => {
  const input = make("input", { type: "checkbox" });
  input.checked = on;
  input.addEventListener("change", () => write(input.checked));
  return make("label", { class: "toggle" }, input, text);
};

const compared = (value) => {
  const placed = make("img", { src: value.image, alt: "with places", class: "over" });
  const line = make("div", { class: "line" });
  const input = make("input", { type: "range", min: 0, max: 100, value: share, class: "compare", "aria-label": "Without places, left of the line; with places, right of it" });
  const move = () => {
    share = Number(input.value);
    placed.style.clipPath = `inset(0 0 0 ${share}%)`;
    line.style.left = `${share}%`;
  };
  input.addEventListener("input", move);
  move();
  return [make("img", { src: value.plain, alt: "without places" }), placed, line,
    make("span", { class: "side left" }, "without places"), make("span", { class: "side right" }, "with places"), input];
};

const done = (value) => {
  const shown = value.film ? [make("img", { src: value.film, alt: "film" })]
    : value.plain ? compared(value) : [make("img", { src: value.image, alt: value.prompt })];
  const over = make("div", { class: "boxes" }, value.film ? [] : value.boxes.map(marked));
  over.hidden = !boxes;
  const choose = value.boxes.length && !value.film ? toggle("Show where each sound was placed", boxes, (on) => { boxes = on; over.hidden = !on; }) : null;
  return [
    frame("done", ...shown, over),
    choose,
    make("p", { class: "caption" }, make("b", {}, value.prompt), ` · seed ${value.seed} · ${value.seconds.toFixed(1)} s`),
    ...value.notes.map((note) => make("p", { class: "note" }, note)),
  ];
};

const render = () => {
  const value = props.value || { kind: "empty" };
  const kinds = {
    empty: () => [frame("empty", make("p", {}, value.text || "The picture will be here. Begin with a sound."))],
    sketch: () => [frame("sketch", ...value.boxes.map(marked),
      value.boxes.length ? null : make("p", {}, "Nothing has a place: it is painted wherever it falls.")),
      make("p", { class: "caption" }, value.boxes.length ? "Where each sound will be." : "")],
    painting: () => [frame("painting", value.image ? make("img", { src: value.image, alt: "preview" }) : null, ...value.boxes.map(marked)), bar(value)],
    done: () => done(value),
  };
  root.replaceChildren(...(kinds[value.kind] || kinds.empty)().filter(Boolean));
};
watch("value", render);
render();
