"use strict";
// One trial is a sound and the pictures of it; an answer is shown as given once the server has stored it.

const CANNOT_SAY = "cannot say";
const UNPLAYABLE = "This browser cannot play the sound: say “I cannot say”, or take another browser.";
const KEYS = { y: "yes", n: "no", c: CANNOT_SAY };
const byId = (id) => document.getElementById(id);
const sound = byId("sound");

let rater = "";
let trials = [];
let at = 0; // the trial that is shown
let current = 0; // its question that keys answer
let heard = false;

async function send(where, fields) {
  let reply;
  try {
    reply = await fetch(where, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
  } catch {
    throw new Error("Not stored: nobody answers. Start “audiotoken rate” again and open the address that it shows.");
  }
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(said.problem || "Not stored. Load the page again.");
  return said;
}

function complain(error) {
  byId("problem").textContent = error ? error.message : "";
  byId("problem").hidden = !error;
}

function make(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const open = (trial) =>
  trial.pictures.some((picture) => trial.questions.some((question) => !(question.name in picture.answers)));

function show(screen) {
  for (const id of ["welcome", "rating", "end"]) byId(id).hidden = id !== screen;
}

byId("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    ({ rater, trials } = await send("start", { rater: byId("rater").value }));
    complain(null);
    const first = trials.findIndex(open);
    if (first < 0) finish();
    else showTrial(first);
  } catch (error) {
    complain(error);
  }
});

function showTrial(place) {
  at = place;
  const trial = trials[at];
  heard = !open(trial);
  byId("place").textContent = `Sound ${at + 1} of ${trials.length}`;
  byId("rated-by").textContent = rater;
  byId("pictures").replaceChildren(...trial.pictures.map((picture, i) => card(trial, picture, i)));
  byId("pictures").className = ["", "one", "two"][trial.pictures.length] || "";
  byId("back").disabled = at === 0;
  show("rating");
  window.scrollTo(0, 0);
  sound.src = `media/${trial.sound}`;
  play();
  refresh();
  choose(firstOpen(), false);
}

function card(trial, picture, i) {
  const letter = String.fromCharCode(65 + (i % 26));
  const image = make("img", { src: `media/${picture.name}`, alt: `Picture ${letter}` });
  const badge = make("h2", { className: "letter", textContent: letter, ariaLabel: `Picture ${letter}` });
  const frame = make("div", { className: "frame" }, [image, badge]);
  return make("article", { className: "card" }, [frame, ...trial.questions.map((one) => ask(one, picture, letter))]);
}

function ask(question, picture, letter) {
  const scale = question.name === "belongs";
  const text = scale ? "Does it belong to the sound?" : `${question.asks}?`;
  const choices = question.choices.map((answer) => {
    const button = make("button", { type: "button", textContent: answer === CANNOT_SAY ? "I cannot say" : answer });
    button.dataset.answer = answer;
    if (scale && answer === "1") button.ariaLabel = "1, not at all";
    if (scale && answer === "5") button.ariaLabel = "5, perfectly";
    button.addEventListener("click", () => inTurn(() => give(group, answer)));
    return button;
  });
  const row = make("div", { className: scale ? "choices" : "choices few" }, choices);
  const group = make("div", { className: "question", tabIndex: -1 }, [make("p", { textContent: text }), row]);
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", `Picture ${letter}: ${text}`);
  if (scale) {
    const ends = [make("span", { textContent: "not at all" }), make("span", { textContent: "perfectly" })];
    group.append(make("div", { className: "ends", ariaHidden: "true" }, [make("span", {}, ends)]));
  }
  group.addEventListener("focusin", () => mark(groups().indexOf(group)));
  Object.assign(group, { question, picture });
  return group;
}

const groups = () => [...document.querySelectorAll(".question")];
const given = (group) => group.picture.answers[group.question.name];
const firstOpen = () => Math.max(0, groups().findIndex((group) => !given(group)));

function mark(place) {
  current = place;
  groups().forEach((group, i) => group.classList.toggle("current", i === current));
}

function choose(place, scroll = true) {
  mark(Math.min(Math.max(place, 0), groups().length - 1));
  groups()[current].focus({ preventScroll: true });
  if (scroll) groups()[current].scrollIntoView({ block: "nearest", behavior: "smooth" });
}

async function give(group, answer) {
  if (!group.question.choices.includes(answer)) return;
  if (!heard && answer !== CANNOT_SAY) return hint(sound.error ? UNPLAYABLE : "Hear the sound first: press space.");
  const trial = trials[at];
  const fields = { rater, picture: group.picture.name, question: group.question.name, answer };
  try {
    await send("answer", fields);
  } catch (error) {
    return complain(error);
  }
  complain(null);
  group.picture.answers[group.question.name] = answer;
  byId("told").textContent = `Stored: ${answer}`;
  if (trial !== trials[at] || !group.isConnected) return;
  refresh();
  if (open(trial)) {
    const rest = groups().findIndex((each, i) => i > groups().indexOf(group) && !given(each));
    choose(rest < 0 ? firstOpen() : rest);
  } else {
    mark(-1);
    byId("next").focus();
  }
}

function refresh() {
  for (const group of groups()) {
    for (const button of group.querySelectorAll("button")) {
      button.ariaPressed = String(button.dataset.answer === given(group));
    }
  }
  const asked = trials.reduce((sum, trial) => sum + trial.pictures.length * trial.questions.length, 0);
  const answered = trials.reduce(
    (sum, trial) => sum + trial.pictures.reduce((n, picture) => n + known(trial, picture), 0), 0);
  byId("done").max = asked;
  byId("done").value = answered;
  byId("done").ariaValueText = `${answered} of ${asked} answers`;
  byId("next").disabled = open(trials[at]);
}

const known = (trial, picture) => trial.questions.filter((question) => question.name in picture.answers).length;

function finish() {
  sound.pause();
  const pictures = trials.reduce((sum, trial) => sum + trial.pictures.length, 0);
  byId("sum").textContent = `You have rated ${pictures} pictures of ${trials.length} sounds.`;
  show("end");
  byId("end").focus();
}

function next() {
  if (open(trials[at])) return;
  if (at + 1 < trials.length) return showTrial(at + 1);
  const left = trials.findIndex(open);
  if (left < 0) finish();
  else showTrial(left);
}

byId("next").addEventListener("click", next);
byId("back").addEventListener("click", () => at > 0 && showTrial(at - 1));
byId("again").addEventListener("click", () => showTrial(trials.length - 1));

function hint(text) {
  byId("hint").textContent = text;
}

async function play() {
  hint("");
  if (sound.ended) sound.currentTime = 0;
  try {
    await sound.play();
  } catch (error) {
    if (error.name === "NotAllowedError") hint("Press space to hear the sound.");
  }
}

const toggle = () => (sound.paused ? play() : sound.pause());
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function follow() {
  const length = Number.isFinite(sound.duration) ? sound.duration : 0;
  byId("seek").max = length || 1;
  byId("seek").value = sound.currentTime;
  byId("seek").setAttribute("aria-valuetext", `${sound.currentTime.toFixed(1)} of ${length.toFixed(1)} seconds`);
  byId("clock").textContent = `${minutes(sound.currentTime)} / ${minutes(Math.ceil(length))}`;
  byId("play").classList.toggle("playing", !sound.paused);
  byId("play").ariaLabel = sound.paused ? "Play the sound" : "Pause the sound";
  if (!sound.paused) requestAnimationFrame(follow);
}

for (const event of ["play", "pause", "ended", "loadedmetadata", "seeked"]) sound.addEventListener(event, follow);
sound.addEventListener("playing", () => { heard = true; hint(""); });
sound.addEventListener("error", () => hint(UNPLAYABLE));
byId("play").addEventListener("click", toggle);
byId("seek").addEventListener("input", () => { sound.currentTime = Number(byId("seek").value); });

// keys wait until the answer before them is stored: "4 5" answers two questions, however slow the disk is
let turn = Promise.resolve();
function inTurn(act) {
  turn = turn.then(act).catch(complain);
}

function key(event) {
  if (byId("rating").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const seeking = event.target === byId("seek");
  const answer = KEYS[event.key.toLowerCase()] || (/^[1-5]$/.test(event.key) && event.key);
  if (event.key === " ") {
    if (!event.repeat) toggle();
  } else if (event.key === "ArrowRight" && !seeking) inTurn(() => choose(current + 1));
  else if (event.key === "ArrowLeft" && !seeking) inTurn(() => choose((current < 0 ? groups().length : current) - 1));
  else if (answer && !event.repeat) inTurn(() => groups()[current] && give(groups()[current], answer));
  else if (event.key === "Enter" && event.target.tagName !== "BUTTON") inTurn(next);
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", key);
document.addEventListener("keyup", (event) => { // Firefox presses the focused button now
  if (event.key === " " && !byId("rating").hidden) event.preventDefault();
});
