"use strict";
{
  const MANY = 20; // more tasks than this are closed at first; fewer matches than this are opened
  const STORED = "reconciler-theme";
  const root = document.documentElement;
  root.classList.add("js");

  // Storage is refused to some files and frames: the theme is then chosen for this view only.
  const stored = (action) => {
    try {
      return action(window.localStorage);
    } catch {
      return null;
    }
  };
  const theme = stored((storage) => storage.getItem(STORED));
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;

  const themes = () => {
    const button = document.getElementById("theme");
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
    const name = () => (button.textContent = isDark() ? "Light theme" : "Dark theme");
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      stored((storage) => storage.setItem(STORED, root.dataset.theme));
      name();
    });
    system.addEventListener("change", name);
    name();
  };

  const textNodes = function* (element) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) yield walker.currentNode;
  };

  const ranges = function* (element, word) {
    for (const node of textNodes(element)) {
      const text = node.data.toLowerCase();
      if (text.length !== node.data.length) continue; // a letter that is two in lower case: places would not fit
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        yield range;
      }
    }
  };

  const mark = (tasks, words) => {
    if (!window.Highlight) return;
    const found = tasks.flatMap((task) => words.flatMap((word) => [...ranges(task, word)]));
    CSS.highlights.set("found", new Highlight(...found));
  };

  const start = () => {
    themes();
    const tasks = [...document.querySelectorAll("details.task")];
    const search = document.getElementById("search");
    if (!search) return;
    const chips = [...document.querySelectorAll(".chip")];
    const opener = document.getElementById("open");
    const count = document.getElementById("count");
    const texts = new Map(); // what a task says, in lower case, from the first search on
    let openedBySearch = new Set();
    let openedByPrint = [];

    const textOf = (task) => {
      if (!texts.has(task)) texts.set(task, task.textContent.toLowerCase().replace(/\s+/g, " "));
      return texts.get(task);
    };
    const isShown = (task) => !task.parentElement.hidden;
    const number = (value) => value.toLocaleString("en");

    const openMatches = (shown, words) => {
      for (const task of openedBySearch) task.open = false;
      openedBySearch = new Set();
      const few = words.length > 0 && shown.length <= MANY ? shown : [];
      for (const task of few) {
        if (!task.open) openedBySearch.add(task);
        task.open = true;
      }
      mark(few, words);
    };

    const nameOpener = () => {
      opener.textContent = tasks.some((task) => isShown(task) && !task.open) ? "Open all" : "Close all";
    };

    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const groups = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((c) => c.dataset.group);
      for (const task of tasks) {
        const fits = groups.length === 0 || groups.includes(task.dataset.group);
        task.parentElement.hidden = !(fits && words.every((word) => textOf(task).includes(word)));
      }
      const shown = tasks.filter(isShown);
      openMatches(shown, words);
      nameOpener();
      document.getElementById("none").hidden = shown.length > 0;
      const all = `${number(tasks.length)} task${tasks.length === 1 ? "" : "s"}`;
      count.textContent = shown.length === tasks.length ? all : `${number(shown.length)} of ${all}`;
    };

    const openAll = () => {
      const shown = tasks.filter(isShown);
      const open = shown.some((task) => !task.open);
      for (const task of shown) task.open = open;
      openedBySearch = new Set();
      nameOpener();
    };

    const move = (step) => {
      const shown = tasks.filter(isShown);
      const here = shown.indexOf(document.activeElement?.closest("details.task"));
      const next = here < 0 ? (step > 0 ? 0 : shown.length - 1) : here + step;
      const summary = shown[Math.min(Math.max(next, 0), shown.length - 1)]?.querySelector("summary");
      summary?.focus({ preventScroll: true });
      summary?.scrollIntoView({ block: "nearest" });
    };

    const keys = {
      "/": () => search.focus(),
      e: openAll,
      j: () => move(1),
      k: () => move(-1),
    };
    const keysOfTask = { ArrowDown: () => move(1), ArrowUp: () => move(-1) };
    const keysOfSearch = {
      ArrowDown: () => move(1),
      Enter: () => move(1),
      Escape: () => {
        search.value = "";
        filter();
      },
    };

    const keysAt = (element) => {
      if (element === search) return keysOfSearch;
      return element.matches("summary") ? { ...keys, ...keysOfTask } : keys;
    };

    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      const known = keysAt(event.target);
      if (!Object.hasOwn(known, event.key)) return;
      event.preventDefault();
      known[event.key]();
    });
    search.addEventListener("input", filter);
    opener.addEventListener("click", openAll);
    for (const task of tasks) task.addEventListener("toggle", nameOpener);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        filter();
      });
    }
    window.addEventListener("beforeprint", () => {
      openedByPrint = tasks.filter((task) => !task.open);
      for (const task of openedByPrint) task.open = true;
    });
    window.addEventListener("afterprint", () => {
      for (const task of openedByPrint) task.open = false;
    });

    if (tasks.length > MANY) for (const task of tasks) task.open = false;
    filter();
  };

  document.addEventListener("DOMContentLoaded", start);
}
