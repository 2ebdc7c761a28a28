// The figures anew, now and then, where they stand.
const figures = document.getElementById("figures");
setInterval(async () => {
  // Who has the focus in them keeps it, and what is there stays.
  if (document.hidden || figures.contains(document.activeElement)) return;
  try {
    const response = await fetch("/session");
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    figures.replaceChildren(...page.getElementById("figures").childNodes);
  } catch {
    // The server is away; what is there stays, with its time.
  }
}, 20000);
