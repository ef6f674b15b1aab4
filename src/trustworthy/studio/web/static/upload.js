// Uploads in chunks that go on where they stopped, of files, of folders, and of what is dropped on the form.
// Without scripts the form sends all files at once; the server says the same in both cases.
(() => {
  const panel = document.getElementById("upload");
  const form = panel.querySelector("form");
  const list = panel.querySelector(".uploads");
  const token = form.elements.csrf_token.value;
  const { url, chunk, limit } = panel.dataset;
  const MB = 1e6;
  const MANY = 20;
  let queue = Promise.resolve();
  let waiting = 0;
  let added = 0;
  let shown = 0;

  class Refused extends Error {}

  // An answer of the server; a refusal in its words, a connection that breaks as any other error.
  async function ask(address, options = {}) {
    options.headers = { "X-CSRFToken": token, Accept: "application/json", ...options.headers };
    const answer = await fetch(address, options);
    if (answer.ok) return answer.json();
    const words = (await answer.text()).trim();
    throw Object.assign(answer.status < 500 || answer.status === 507 ? new Refused(words) : new Error(words), { status: answer.status });
  }

  const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

  // Again and again where the connection breaks, with longer and longer pauses.
  async function patiently(act, row) {
    for (let seconds = 1; ; seconds = Math.min(2 * seconds, 30)) {
      try {
        return await act();
      } catch (error) {
        if (error instanceof Refused) throw error;
        row.say(`The connection broke; trying again in ${seconds} s …`);
        await wait(seconds);
      }
    }
  }

  async function digest(part) {
    if (!crypto.subtle) return {}; // browsers have it on this computer and over https only
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await part.arrayBuffer()));
    return { "X-SHA256": Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  }

  function remembered(key, value) {
    try {
      if (value === undefined) return localStorage.getItem(key);
      value === null ? localStorage.removeItem(key) : localStorage.setItem(key, value);
    } catch { /* where nothing may be kept an upload begins anew */ }
    return null;
  }

  async function begin(name, file, role, key) {
    const known = remembered(key);
    if (known) {
      try {
        return await ask(`${url}/${known}`);
      } catch (error) {
        if (error.status !== 404) throw error;
      }
    }
    const begun = await ask(url, { method: "POST", body: new URLSearchParams({ name, size: file.size, role }) });
    remembered(key, begun.id);
    return begun;
  }

  async function send(name, file, role, row) {
    const key = `upload ${url} ${name} ${file.size} ${file.lastModified} ${role}`;
    const upload = await patiently(() => begin(name, file, role, key), row);
    let have = upload.received;
    while (have < file.size) {
      row.progress(have / file.size);
      have = await patiently(async () => {
        const part = file.slice(have, have + Number(chunk));
        const headers = { "Upload-Offset": have, "Content-Type": "application/octet-stream", ...(await digest(part)) };
        try {
          return (await ask(`${url}/${upload.id}`, { method: "PATCH", body: part, headers })).received;
        } catch (error) {
          if (error.status !== 400) throw error;
          const now = (await ask(`${url}/${upload.id}`)).received; // a chunk whose answer was lost has arrived
          if (now === have && !/altered/.test(error.message)) throw error;
          return now;
        }
      }, row);
      row.say("");
    }
    row.progress(null);
    row.say("Looking through it …");
    remembered(key, null);
    return ask(`${url}/${upload.id}/finish`, { method: "POST" });
  }

  // Of many files, those that went well are counted.
  function tidy(row, more) {
    if (more.length || list.children.length <= MANY) return;
    row.remove();
    added += 1;
    let sum = list.querySelector(".sum");
    if (!sum) {
      sum = document.createElement("li");
      sum.className = "sum muted";
      list.prepend(sum);
    }
    sum.textContent = `${added} more files were added`;
  }

  function addRow(name, file) {
    const row = document.createElement("li");
    const [title, state, bar, words] = ["span", "span", "progress", "span"].map((tag) => row.appendChild(document.createElement(tag)));
    title.textContent = name;
    title.className = "name";
    state.className = "number muted";
    state.textContent = "waiting";
    words.className = "words";
    bar.max = 1;
    bar.setAttribute("aria-label", `Upload of ${name}`);
    list.append(row);
    return {
      say: (text) => { words.textContent = text; },
      progress(share) {
        if (share === null) bar.removeAttribute("value");
        else bar.value = share;
        state.textContent = share === null ? "" : `${Math.floor(100 * share)} % of ${(file.size / MB).toFixed(1)} MB`;
      },
      end(kind, text, more = []) {
        bar.remove();
        state.textContent = text;
        state.className = kind;
        words.textContent = "";
        if (kind === "done") tidy(row, more);
        for (const each of more) words.append(each, document.createElement("br"));
      },
    };
  }

  async function refresh() {
    if (waiting && Date.now() < shown + 3000) return;
    shown = Date.now();
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    for (const place of ["#images", ".page-head", ".project-bar"]) {
      const [old, fresh] = [document.querySelector(place), page.querySelector(place)];
      if (old && fresh) old.replaceWith(fresh);
    }
  }

  function take(files) {
    const role = form.elements.role.value;
    for (const [name, file] of files) {
      const row = addRow(name, file);
      if (file.size > limit) {
        row.end("failed", "not sent", [`It has ${(file.size / MB).toFixed(0)} MB, and a file may have ${(limit / MB).toFixed(0)} MB.`]);
        continue;
      }
      waiting += 1;
      queue = queue.then(async () => {
        try {
          const done = await send(name, file, role, row);
          row.end("done", done.words, done.refused);
        } catch (error) {
          row.end("failed", "not taken", [error.message]);
        }
        waiting -= 1;
        await refresh().catch(() => {});
      });
    }
  }

  // All files below what was dropped, with the names of their folders.
  async function below(entry, before = "") {
    if (entry.isFile) return [[before + entry.name, await new Promise((done, failed) => entry.file(done, failed))]];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return found;
      for (const each of some) found.push(...(await below(each, `${before}${entry.name}/`)));
    }
  }

  const hidden = ([name]) => !name.split("/").pop().startsWith(".") && name.split("/").pop() !== "Thumbs.db";

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const inputs = form.querySelectorAll("input[type=file]");
    take([...inputs].flatMap((input) => [...input.files].map((file) => [file.webkitRelativePath || file.name, file])).filter(hidden));
    for (const input of inputs) input.value = "";
  });
  for (const kind of ["dragover", "dragenter"]) {
    form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  form.addEventListener("dragleave", (event) => { if (!form.contains(event.relatedTarget)) form.classList.remove("over"); });
  form.addEventListener("drop", async (event) => {
    event.preventDefault();
    form.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const files = entries.length ? [] : [...event.dataTransfer.files].map((file) => [file.name, file]);
    for (const entry of entries) files.push(...(await below(entry)));
    take(files.filter(hidden));
  });
  panel.querySelector(".drop-words").hidden = false;
})();
