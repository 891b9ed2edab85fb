// The search of martfeast/site/search.py, in JavaScript: the same hits in the same order. The index
// is in search-index.js, a script, so that it is there where pages are opened from the file system.
"use strict";
(() => {
  const { documents, words, stop } = searchIndex;
  const stopWords = new Set(stop);
  const known = Object.keys(words);

  const stem = (word) =>
    word.length > 3 && word.endsWith("s") && !/(ss|us|is)$/.test(word) ? word.slice(0, -1) : word;

  const wordsIn = (text) => {
    const bare = text.toLowerCase().normalize("NFD").replace(/\p{Mn}/gu, "");
    return (bare.match(/[\p{L}\p{N}]+/gu) || []).filter((word) => !stopWords.has(word)).map(stem);
  };

  const isOneOff = (one, other) => {
    if (Math.abs(one.length - other.length) > 1 || one === other) return false;
    let start = 0;
    while (start < Math.min(one.length, other.length) && one[start] === other[start]) start += 1;
    if (one.length === other.length) {
      const rest = one.slice(start);
      const swapped = rest.length > 1 ? rest[1] + rest[0] + rest.slice(2) : rest;
      return one.slice(start + 1) === other.slice(start + 1) || swapped === other.slice(start);
    }
    return one.length < other.length
      ? one.slice(start) === other.slice(start + 1)
      : one.slice(start + 1) === other.slice(start);
  };

  const likeness = (asked, word) => {
    if (asked === word) return 10;
    if (asked.length >= 2 && word.startsWith(asked)) return 6;
    return asked.length >= 5 && !/^\p{Nd}/u.test(asked) && isOneOff(asked, word) ? 4 : 0;
  };

  const held = documents.map((one) => Number(one[3] === "held back"));
  const matched = new Int32Array(documents.length);
  const scores = new Int32Array(documents.length);
  const best = new Int32Array(documents.length);

  const find = (query) => {
    matched.fill(0);
    scores.fill(0);
    const found = [];
    for (const asked of new Set(wordsIn(query))) {
      const having = [];
      for (const word of known) {
        const quality = likeness(asked, word);
        if (!quality) continue;
        const postings = words[word];
        for (let at = 0; at < postings.length; at += 2) {
          const place = postings[at];
          if (best[place] === 0) having.push(place);
          best[place] = Math.max(best[place], postings[at + 1] * quality);
        }
      }
      for (const place of having) {
        if (matched[place] === 0) found.push(place);
        matched[place] += 1;
        scores[place] += best[place];
        best[place] = 0;
      }
    }
    found.sort(
      (one, other) =>
        matched[other] - matched[one] ||
        held[one] - held[other] ||
        scores[other] - scores[one] ||
        one - other,
    );
    return found.map((place) => documents[place]);
  };
  globalThis.martfeastFind = find;

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const shown = ([name, page, kind, state, of, description]) => {
    const item = element("li");
    const head = element("p");
    const link = element("a", "", name);
    link.href = page;
    head.append(link, " ");
    if (state) {
      head.append(element("span", "badge " + (state === "ready" ? "alike" : "different"), state));
    }
    head.append(element("span", "soft", " " + kind + (of ? " of " + of : "")));
    item.append(head);
    if (description) item.append(element("p", "soft", description));
    return item;
  };

  const most = 20;
  document.getElementById("without-script").remove();
  const search = document.getElementById("search");
  const show = () => {
    const query = search.value.trim();
    const hits = query ? find(query) : [];
    document.getElementById("everything").hidden = query !== "";
    document.getElementById("found").hidden = query === "";
    document.getElementById("hits").replaceChildren(...hits.slice(0, most).map(shown));
    const more = hits.length > most ? ", the best " + most + " of them here" : "";
    document.getElementById("found-count").textContent =
      hits.length === 0
        ? "Nothing found. Try fewer or other words."
        : hits.length + (hits.length === 1 ? " hit" : " hits") + more;
  };
  search.value = new URLSearchParams(location.search).get("q") || "";
  search.addEventListener("input", show);
  search.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = document.querySelector("#hits a");
    if (first) first.focus();
  });
  show();
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      search.focus();
    }
  });
})();
