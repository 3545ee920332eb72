// @ts-check

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string} wants what has to follow it; ""
 * @property {string} does
 * @property {boolean} [mod] it is a moderator's: `moderate` with this action
 *
 * @typedef {object} Order What is to be done with what was written.
 * @property {string} [say] it is said
 * @property {string} [name] of the command that was given
 * @property {string} [about] what followed it
 * @property {string} [wrong] why nothing can be done
 */

/** What one may write in place of a message. @type {Command[]} */
export const COMMANDS = [
	{ name: "me", wants: "what you do", does: "say what you do" },
	{ name: "nick", wants: "a name", does: "change your name" },
	{ name: "join", wants: "a room", does: "go to a room" },
	{ name: "part", wants: "", does: "leave this room" },
	{ name: "kick", wants: "a name", does: "moderators: end somebody's connection; a reason may follow", mod: true },
	{ name: "ban", wants: "a name", does: "moderators: keep somebody out; 10m, 2h or 3d and a reason may follow", mod: true },
	{ name: "unban", wants: "a name or id", does: "moderators: let somebody in again", mod: true },
	{ name: "mute", wants: "a name", does: "moderators: let somebody only read; 10m, 2h or 3d and a reason may follow", mod: true },
	{ name: "unmute", wants: "a name", does: "moderators: let somebody write again", mod: true },
	{ name: "slow", wants: "a time or off", does: "moderators: one message each 30s, 5m, …", mod: true },
	{ name: "lock", wants: "", does: "moderators: nobody else writes here", mod: true },
	{ name: "unlock", wants: "", does: "moderators: all write here again", mod: true },
	{ name: "help", wants: "", does: "see what one can do here" },
];

/**
 * What is meant by a text that was written. A word that a single / begins is a
 * command, a path is not; // begins a text that begins with /.
 * @param {string} text
 * @returns {Order}
 */
export function orderOf(text) {
	const [, name, about = ""] = /^\/([a-z]+)(?:\s+([^]*))?$/i.exec(text) ?? [];
	if (!name) return { say: text.replace(/^\/\//, "/") };
	const command = COMMANDS.find((one) => one.name === name.toLowerCase());
	if (!command) return { wrong: `There is no /${name}. Write //${name} to say it, or /help.` };
	if (command.wants && !about.trim()) return { wrong: `Write ${command.wants} after /${command.name}.` };
	if (command.name === "me") return { say: `/me ${about}` };
	return { name: command.name, about: about.trim() };
}
