// What is dropped or chosen is looked at before it is sent: too large, or no sound at all, is a sentence at once.
const root = element.querySelector(".guard");
const { most, seconds, within } = props.value;

const objection = (file) => {
  const megabytes = file.size / 2 ** 20;
  if (megabytes > most)
    return `Cannot hear ${file.name}: it has ${Math.ceil(megabytes)} MB, at most ${most} MB are taken; cut out the part you mean, ${seconds} seconds are heard.`;
  if (/^(text|image)\/|pdf|zip|json/.test(file.type))
    return `Cannot hear ${file.name}: it is ${file.type}, no sound; give a WAV, FLAC, OGG or MP3 file.`;
  return null;
};
const check = (event) => {
  if (!event.target.closest || !event.target.closest(within)) return;
  const input = event.type === "change" ? event.target : null;
  const files = input ? input.files : event.dataTransfer && event.dataTransfer.files;
  if (!files || !files.length) return;
  const said = [...files].map(objection).find(Boolean);
  root.replaceChildren(...(said ? [make("p", { class: "error", role: "alert" }, said)] : []));
  if (!said) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (input) input.value = "";
};
for (const kind of ["change", "drop"]) window.addEventListener(kind, check, true);
