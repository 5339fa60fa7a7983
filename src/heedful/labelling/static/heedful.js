// What every page may use and none needs: counters of characters, times in the reader's zone,
// an account menu that closes,
// and on a narrow screen the header's lists scrolled to the current page. Pages work without it.

for (const area of document.querySelectorAll("textarea[data-counter]")) {
  const shown = document.getElementById(area.dataset.counter);
  const most = area.maxLength;
  const count = () => {
    const left = most - area.value.length;
    shown.textContent = `${left.toLocaleString("en-GB")} of ${most.toLocaleString("en-GB")} characters left`;
  };
  area.addEventListener("input", count);
  count();
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) continue;
  time.title = moment.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
}

for (const here of document.querySelectorAll('header nav [aria-current]')) {
  const list = here.closest("ul");
  list.scrollLeft = here.offsetLeft - (list.clientWidth - here.offsetWidth) / 2;
}

for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
