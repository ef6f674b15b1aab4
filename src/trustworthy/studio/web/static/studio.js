// Moments in the visitor's zone; on the page, and in what htmx brings later.
function local(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const when = new Date(time.dateTime);
    if (!isNaN(when)) {
      time.textContent = when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      time.title = when.toLocaleString([], { dateStyle: "full", timeStyle: "long" });
    }
  }
}
local(document);
document.body.addEventListener("htmx:afterSettle", (event) => local(event.target.parentNode || document));
