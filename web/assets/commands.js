// @ts-check

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string} wants what has to follow it; ""
 * @property {string} does
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
