// A form with times in the reader's zone: the server is told which one, and the page names it.
const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
if (timeZone) {
  for (const input of document.querySelectorAll("input[data-zone]")) input.value = timeZone;
  for (const name of document.querySelectorAll("[data-zone-name]")) name.textContent = timeZone;
}
