// A transcript's segments play where they are chosen, and the one that is heard is marked.
document.addEventListener("click", (event) => {
  const seek = event.target.closest?.(".sv-seek");
  if (!seek) return;
  const player = document.querySelector(".sv-player");
  player.currentTime = Number(seek.dataset.start);
  player.play();
});
// What is stopped is said to be: nothing more comes of it.
document.addEventListener("click", (event) => {
  const tab = event.target.closest?.(".sv-stop")?.closest("[role=tabpanel]");
  for (const doing of tab?.querySelectorAll(".sv-doing") ?? []) doing.textContent = "stopped";
});
document.addEventListener("timeupdate", (event) => {
  if (!event.target.matches?.(".sv-player")) return;
  const now = event.target.currentTime;
  for (const seek of document.querySelectorAll(".sv-seek")) {
    const heard = Number(seek.dataset.start) <= now && now < Number(seek.dataset.end);
    if (heard) seek.setAttribute("aria-current", "true");
    else seek.removeAttribute("aria-current");
  }
}, true);
