// Check a file before it is uploaded: a file that is too large, or not audio, is refused at once with a message.
const root = element.querySelector(".guard");
const { most, seconds, within } = props.value;

const findProblem = (file) => {
  const megabytes = file.size / 2 ** 20;
  if (megabytes > most)
    return `Cannot read ${file.name}: it has ${Math.ceil(megabytes)} MB, and the maximum is ${most} MB; cut out a shorter part, as only ${seconds} seconds are used.`;
  if (/^(text|image)\/|pdf|zip|json/.test(file.type))
    return `Cannot read ${file.name}: it is ${file.type}, not audio; choose a WAV, FLAC, OGG or MP3 file.`;
  return null;
};
const check = (event) => {
  if (!event.target.closest || !event.target.closest(within)) return;
  const input = event.type === "change" ? event.target : null;
  const files = input ? input.files : event.dataTransfer && event.dataTransfer.files;
  if (!files || !files.length) return;
  const problem = [...files].map(findProblem).find(Boolean);
  root.replaceChildren(...(problem ? [make("p", { class: "error", role: "alert" }, problem)] : []));
  if (!problem) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (input) input.value = "";
};
for (const kind of ["change", "drop"]) window.addEventListener(kind, check, true);
