package browser

import (
	"slices"
	"testing"
)

// lettersNoted notes the size of each visible text. Left out are letters of drawings, avatars,
// and the times that show beside a text on hover, which have no room to grow.
const lettersNoted = `for (const e of document.querySelectorAll("body *:not(svg, svg *, .avatar, time, template, option)"))
	if (e.checkVisibility() && (e.matches("input, textarea") || [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())))
		e.dataset.letters = parseFloat(getComputedStyle(e).fontSize)`

// ungrown lists texts that did not grow with the letters of the page.
const ungrown = `[...document.querySelectorAll("[data-letters]")].filter((e) => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 1.9 * e.dataset.letters)
	.map((e) => e.dataset.letters + " px: " + e.outerHTML.slice(0, 120))`

// cutOff lists what is wider than the page, and texts that are higher than their box.
const cutOff = `[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest("svg, .unseen, .side-start, .side-end, pre, .picker, .skip, .message.next .author, .room-label *, dialog:not([open])")).filter((e) => {
	const box = e.getBoundingClientRect();
	if (box.width <= 1 || box.bottom < 0) return false;
	if (box.right > innerWidth + 1 || box.left < -1) return true;
	const {overflowY, display} = getComputedStyle(e);
	return e.matches("[data-letters]") && display !== "inline" && !/auto|scroll/.test(overflowY) && e.scrollHeight > e.clientHeight + 3 && !e.matches("input, textarea");
}).map((e) => e.getBoundingClientRect().width + "x" + e.getBoundingClientRect().height + ": " + e.outerHTML.slice(0, 160))`

// With letters of twice the size, all texts of the page grow, and fit at 320 pixels.
func TestLettersOfTwiceTheSizeFit(t *testing.T) {
	t.Parallel()
	script := axe(t)
	for _, sc := range slices.Concat(scenes, further) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			p := play(t, sc, look{320, 568, false, leftToRight})
			p.run(lettersNoted)
			if n := ask[int](p, `document.querySelectorAll("#say[data-letters], #room-name[data-letters], .me-is[data-letters], .author[data-letters]").length`); n < 3 {
				t.Fatalf("only %d texts are measured", n)
			}
			p.run(`document.documentElement.style.fontSize = "200%"`)
			p.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
			for _, one := range ask[[]string](p, ungrown) {
				t.Errorf("it did not grow: %s", one)
			}
			for _, one := range ask[[]string](p, cutOff) {
				t.Errorf("it does not fit: %s", one)
			}
			if wide := ask[int](p, "document.documentElement.scrollWidth"); wide > 320 {
				t.Errorf("the page is %d pixels wide", wide)
			}
			if high := ask[int](p, `document.querySelector("#scroll").clientHeight`); high < 60 && sc.name != "editing" {
				t.Errorf("%d pixels are left for the conversation", high)
			}
			p.picture("letters-" + sc.name)
			p.do(runs(script))
			for _, one := range ask[[]string](p, found) {
				t.Error(one)
			}
			p.sound()
		})
	}
}
