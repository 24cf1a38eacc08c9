() => {
  // Keys of the rating page. They answer the question that has the focus, and after an answer the next open one gets it.
  const ANSWERS = { 1: "1", 2: "2", 3: "3", 4: "4", 5: "5", y: "yes", n: "no", c: "cannot say" };
  const questions = () => [...document.querySelectorAll("#pictures .question")].filter((each) => each.offsetParent);
  const isOpen = (question) => !question.querySelector("input:checked");
  const focusOn = (question) => question && question.querySelector("input").focus({ preventScroll: false });
  const current = () => document.activeElement.closest(".question");

  const focusOpen = (after) => {
    const all = questions();
    const following = all.slice(all.indexOf(after) + 1);
    const open = following.find(isOpen) || all.find(isOpen);
    if (open) focusOn(open);
    else document.querySelector("#next").focus();
  };
  const move = (step) => {
    const all = questions();
    const place = current() ? all.indexOf(current()) + step : 0;
    focusOn(all[Math.min(Math.max(place, 0), all.length - 1)]);
  };
  const give = (answer) => {
    const question = current() || questions().find(isOpen);
    const choice = question && [...question.querySelectorAll("input")].find((each) => each.value.endsWith(`:${answer}`));
    if (choice) choice.click();
  };

  document.addEventListener("keydown", (event) => {
    if (!questions().length || event.ctrlKey || event.metaKey || event.altKey) return;
    const answer = ANSWERS[event.key.toLowerCase()];
    if (event.key === " " && !event.repeat) document.querySelector("#sound .play-pause-button").click();
    else if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (answer && !event.repeat) give(answer);
    else if (event.key === "Enter" && event.target.tagName !== "BUTTON") document.querySelector("#next").click();
    else if (event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("keyup", (event) => { // Firefox presses the focused button now
    if (event.key === " " && questions().length) event.preventDefault();
  }, true);
  document.addEventListener("change", (event) => {
    const question = event.target.closest("#pictures .question");
    if (question) focusOpen(question);
  });
  document.addEventListener("load", (event) => { // the first picture of another trial
    if (event.target.matches("#pictures .picture:first-child img")) focusOpen();
  }, true);
}
