// @ts-check
// All that opens later, as one script: small ones apart would share much with the page, in pieces of their own.
export { Finder } from "./finder.js";
export { openHelp } from "./help.js";
export { pickEmoji } from "./picker.js";
export { Switcher } from "./switcher.js";
