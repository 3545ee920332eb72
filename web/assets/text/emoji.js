// @ts-check
// The emoji that have a name here: the usual ones, by what they are about.

/**
 * @typedef {object} Emoji
 * @property {string} emoji
 * @property {string[]} names the first is the one it is known by
 */

// An emoji, and right behind it its names.
const TABLE = `
😀grinning 😃smiley 😄smile 😁grin 😆laughing 😅sweat_smile 😂joy 🤣rofl 🙂slight_smile 🙃upside_down 😉wink 😊blush 😇innocent 🥰loved 😍heart_eyes 🤩star_struck 😘kiss 😋yum 😛tongue 😜crazy 🤗hug 🤭giggle 🤫shush 🤔thinking 🤐zipper 🤨eyebrow 😐neutral 😑expressionless 😶silent 😏smirk 😒unamused 🙄eye_roll 😬grimace 😌relieved 😔pensive 😪sleepy 😴sleeping 🤤drool 😷mask 🤒sick 🤕hurt 🤢nauseated 🤧sneeze 🥵hot 🥶cold 🥴woozy 😵dizzy 🤯mind_blown 🤠cowboy 🥳party 😎cool,sunglasses 🤓nerd 🧐monocle 😕confused 😟worried 🙁frown 😮wow,open_mouth 😲astonished 😳flushed 🥺pleading 😨fearful 😰anxious 😢cry 😭sob 😱scream 😩weary 😫tired 🥱yawn 😤huff 😡rage 😠angry 🤬cursing 😈devil 💀skull 💩poop 🤡clown 👻ghost 👽alien 🤖robot
👍+1,thumbsup 👎-1,thumbsdown 👌ok 🤏pinch ✌️victory 🤞fingers_crossed 🤘rock_on 🤙call_me 👈left 👉right 👆up 👇down ☝️point ✋hand 👋wave 👊fist 👏clap 🙌hooray 🙏pray,thanks 🤝handshake 💪muscle ✍️write 🫡salute 🤷shrug 🤦facepalm 🙋raise_hand 🙇bow 🏃run 🚶walk 💃dance 👀eyes 🧠brain 👤person 👥people 👶baby 👑crown
❤️heart 🧡orange_heart 💛yellow_heart 💚green_heart 💙blue_heart 💜purple_heart 🖤black_heart 💔broken_heart 💕hearts 💯100 💥boom 💫stars 💦sweat 💤zzz 💬speech 🔥fire ✨sparkles ⭐star 🌈rainbow ☀️sun ⛅cloud 🌧️rain ⚡zap ❄️snow ☔umbrella 🌊ocean 🌍earth 🌙moon
🐶dog 🐱cat 🐭mouse 🐰rabbit 🦊fox 🐻bear 🐼panda 🐸frog 🐵monkey 🙈see_no_evil 🙉hear_no_evil 🙊speak_no_evil 🐔chicken 🐧penguin 🦆duck 🦉owl 🐺wolf 🐴horse 🦄unicorn 🐝bee 🐛bug 🦋butterfly 🐌snail 🐢turtle 🐍snake 🐙octopus 🐬dolphin 🐳whale 🐘elephant 🐑sheep 🌵cactus 🌲tree 🌱seedling 🍀clover 🌹rose 🌻sunflower
🍎apple 🍌banana 🍓strawberry 🍉melon 🍕pizza 🍔burger 🍟fries 🌮taco 🍿popcorn 🍞bread 🧀cheese 🥚egg 🍜noodles 🍣sushi 🍦ice_cream 🍩donut 🍪cookie 🎂cake 🍫chocolate ☕coffee 🍵tea 🍺beer 🍻cheers 🍷wine 🥂toast
🎉tada 🎊confetti 🎁gift 🎈balloon 🏆trophy 🥇gold 🎯target 🎮game 🎲dice 🎵music 🎤mic 🎧headphones 🎸guitar 🎨art 📷camera 🎬movie ⚽soccer 🏀basketball 🚀rocket ✈️plane 🚗car 🚲bike 🚆train ⚓anchor 🏠house 🏢office ⏰alarm ⌛hourglass 💡idea,bulb 💻laptop 📱phone 🔋battery 🔌plug 🔧wrench 🔨hammer ⚙️gear 🔒lock 🔑key 🔔bell 🔍search 📎clip 📌pin ✏️pencil 📝memo 📚books 📅calendar 📈chart_up 📉chart_down 📦package 📣megaphone 🗑️trash 💰money 🧪test 🩹bandage
✅check ❌x ❗exclamation ❓question ⚠️warning ⛔no_entry 🚫forbidden 🛑stop ♻️recycle 🆗ok_sign 🆕new ➕plus ➖minus ➡️arrow_right ⬅️arrow_left ⬆️arrow_up ⬇️arrow_down 🔴red 🟠orange 🟡yellow 🟢green 🔵blue ⚫black ⚪white 🏁finish 🚩flag 🏳️white_flag
`;

/** Below so many letters a name is not looked for. */
const LEAST = 2;

/** @type {Emoji[]} */
export const EMOJI = [...TABLE.matchAll(/([^\s\x21-\x7e]+)([\x21-\x7e]+)/g)].map(([, emoji, names]) => ({ emoji, names: names.split(",") }));

const byName = new Map(EMOJI.flatMap(({ emoji, names }) => names.map((name) => [name, emoji])));

/**
 * Those with a name that has the letters in it, the likeliest first.
 * @param {string} letters
 * @returns {Emoji[]}
 */
export function named(letters) {
	const wanted = letters.toLowerCase();
	if (wanted.length < LEAST) return [];
	const rank = (/** @type {Emoji} */ { names }) => Math.min(...names.map((name) => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2)));
	return EMOJI.filter(({ names }) => names.some((name) => name.includes(wanted))).sort((one, two) => rank(one) - rank(two));
}

/**
 * @param {string} name
 * @returns {string | undefined} undefined where none has it
 */
export const emojiOf = (name) => byName.get(name);
