// @ts-check
// For pages of one's own: see docs/client.md. What it needs comes from where it
// came from, whichever page asks.
export { connect } from "./assets/net/connect.js";
