package web

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// oklch is a colour as the style sheets write it; its hue in degrees.
type oklch struct{ light, chroma, hue float64 }

// luminance is that of WCAG 2.2, after the way by OKLab to linear sRGB
// (https://www.w3.org/TR/css-color-4/#color-conversion-code), where each channel
// is cut to what a screen has.
func (c oklch) luminance() float64 {
	a, b := c.chroma*math.Cos(c.hue*math.Pi/180), c.chroma*math.Sin(c.hue*math.Pi/180)
	l := math.Pow(c.light+0.3963377774*a+0.2158037573*b, 3)
	m := math.Pow(c.light-0.1055613458*a-0.0638541728*b, 3)
	s := math.Pow(c.light-0.0894841775*a-1.2914855480*b, 3)
	cut := func(v float64) float64 { return max(0, min(1, v)) }
	return 0.2126*cut(4.0767416621*l-3.3077115913*m+0.2309699292*s) +
		0.7152*cut(-1.2684380046*l+2.6097574011*m-0.3413193965*s) +
		0.0722*cut(-0.0041960863*l-0.7034186147*m+1.7076147010*s)
}

func contrast(a, b oklch) float64 {
	x, y := a.luminance()+0.05, b.luminance()+0.05
	return max(x, y) / min(x, y)
}

// theme is the raw variables of base.css, colours and numbers.
type theme struct {
	colours map[string]oklch
	numbers map[string]float64
}

func readTheme(css string) theme {
	th := theme{make(map[string]oklch), make(map[string]float64)}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			panic(err) // the expressions match numbers alone
		}
		return v
	}
	for _, m := range regexp.MustCompile(`--raw-([\w-]+): oklch\(([\d.]+) ([\d.]+) ([\d.]+)\);`).FindAllStringSubmatch(css, -1) {
		th.colours[m[1]] = oklch{number(m[2]), number(m[3]), number(m[4])}
	}
	for _, m := range regexp.MustCompile(`--raw-([\w-]+): ([\d.]+);`).FindAllStringSubmatch(css, -1) {
		th.numbers[m[1]] = number(m[2])
	}
	return th
}

// What is to be read has the contrast of AA, and what is only to be seen 3:1, in
// both themes (WCAG 2.2, 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("assets/style/base.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("base.css has no dark theme")
	}
	hues := regexp.MustCompile(`--node-hue: (\d+);`).FindAllStringSubmatch(string(css), -1)
	if len(hues) != 8 {
		t.Fatalf("%d hues of nodes, want 8", len(hues))
	}
	for name, th := range map[string]theme{"light": readTheme(light), "dark": readTheme(dark)} {
		check := func(what string, least float64, a, b oklch) {
			if a == (oklch{}) || b == (oklch{}) {
				t.Errorf("%s, %s: there is no such colour", name, what)
			} else if got := contrast(a, b); got < least {
				t.Errorf("%s, %s: contrast %.2f, want %.1f", name, what, got, least)
			}
		}
		c := th.colours
		for _, surface := range []string{"0", "1", "2", "raised", "accent-weak", "danger-weak", "warn-weak"} {
			for _, ink := range []string{"4", "5", "accent", "danger"} {
				check(ink+" on "+surface, 4.5, c[ink], c[surface])
			}
		}
		check("words on the accent", 4.5, c["on-accent"], c["accent"])
		check("a count on its badge", 4.5, c["5"], c["3"])
		check("the field's edge", 3, c["edge"], c["raised"])
		for _, m := range hues {
			hue, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			chroma := th.numbers["node-chroma"]
			for _, surface := range []string{"0", "raised"} {
				what := fmt.Sprintf("node of hue %.0f on %s", hue, surface)
				check(what, 3, oklch{th.numbers["node-light"], chroma, hue}, c[surface])
				check(what+", its number", 4.5, oklch{th.numbers["node-ink-light"], chroma, hue}, c[surface])
			}
		}
		for hue := 0.0; hue < 360; hue += 15 {
			check(fmt.Sprintf("a letter on its avatar of hue %.0f", hue), 4.5,
				oklch{th.numbers["avatar-ink-light"], 0.09, hue}, oklch{th.numbers["avatar-light"], 0.055, hue}) // as log.css has them
		}
	}
}
