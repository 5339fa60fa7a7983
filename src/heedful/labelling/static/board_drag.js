// Dragging a card by its handle with any pointer. Only the handle answers, so that scrolling
// over cards never moves one.

const EDGE = 70; // px from the window's edge where dragging scrolls
const THRESHOLD = 4;

export function makeDraggable(root, drop) {
  root.addEventListener("pointerdown", (down) => {
    const handle = down.target.closest?.("[data-handle]");
    if (!handle || down.button !== 0) return;
    down.preventDefault();
    const letter = handle.dataset.handle;
    const source = handle.closest("[data-card]");
    let ghost = null;
    let over = null;
    const from = { x: down.clientX, y: down.clientY };
    handle.setPointerCapture(down.pointerId);

    const move = (event) => {
      if (!ghost) {
        if (Math.hypot(event.clientX - from.x, event.clientY - from.y) < THRESHOLD) return;
        const box = source.getBoundingClientRect();
        ghost = source.cloneNode(true);
        ghost.classList.add("ghost");
        ghost.style.width = `${box.width}px`;
        document.body.append(ghost);
        source.classList.add("is-dragged");
      }
      ghost.style.transform = `translate(${event.clientX + 8}px, ${event.clientY + 8}px)`;
      const target = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-rank]") ?? null;
      if (target !== over) {
        over?.classList.remove("is-over");
        target?.classList.add("is-over");
        over = target;
      }
      if (event.clientY < EDGE) scrollBy(0, -12);
      else if (event.clientY > innerHeight - EDGE) scrollBy(0, 12);
    };
    const end = (event) => {
      handle.removeEventListener("pointermove", move);
      handle.removeEventListener("pointerup", end);
      handle.removeEventListener("pointercancel", end);
      removeEventListener("keydown", cancel, true);
      ghost?.remove();
      source.classList.remove("is-dragged");
      over?.classList.remove("is-over");
      if (ghost && over && event.type === "pointerup") {
        drop(letter, over.dataset.rank === "tray" ? null : Number(over.dataset.rank));
      }
    };
    const cancel = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      end(event);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
    addEventListener("keydown", cancel, true);
  });
}
