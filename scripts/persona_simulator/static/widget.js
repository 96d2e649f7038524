// Speaks the frame's half of the protocol of npm `persona` 5.9.0: one object per message,
// {name, containerId, templateId, metadata, error}, posted to the page that embeds us.
"use strict";
(() => {
  const { messages, origin, exit } = JSON.parse(document.getElementById("frame").textContent);
  const say = (message) => window.parent.postMessage(message, origin);
  window.addEventListener("message", (event) => {
    if (event.origin === origin && event.data && event.data.action === "exit") say(exit);
  });
  messages.forEach(say);
})();
