/** What the server tells the page: `bodyLimit` in bytes, whether a key is asked, which help goes with which problem. */

import { byId } from "./dom.js";

export const settings = JSON.parse(byId("settings").textContent);
