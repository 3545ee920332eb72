package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"example.com/chat/internal/chattest"
)

// pictures returns the folder for pictures, and skips the test if none is named.
func pictures(t *testing.T) string {
	t.Helper()
	dir := chattest.OutDir()
	if dir == "" {
		t.Skip("CHAT_OUT names no folder for pictures")
	}
	return dir
}

// picture takes a picture of the page where CHAT_OUT names a folder for pictures.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := chattest.OutDir()
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "chat-"+name+".png"), picture, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

func shade(dark bool) string {
	if dark {
		return "dark"
	}
	return "light"
}

// runs is a step that evaluates a script for what it does.
func runs(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](script)
}

// The pictures are looked at by people; nothing here compares them.
func TestPicturesOfEveryState(t *testing.T) {
	dir := pictures(t)
	for _, sc := range slices.Concat(scenes, further) {
		for _, size := range [][2]int64{{1440, 900}, {1024, 768}, {390, 844}, {320, 568}} {
			for _, dark := range []bool{false, true} {
				for _, w := range []words{leftToRight, rightToLeft} {
					t.Run(fmt.Sprintf("%s-%d-%s-%s", sc.name, size[0], shade(dark), w.dir), func(t *testing.T) {
						p := play(t, sc, look{size[0], size[1], dark, w})
						picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
						if err != nil {
							t.Fatal(err)
						}
						name := fmt.Sprintf("chat-%s-%d-%s-%s.png", sc.name, size[0], shade(dark), w.dir)
						if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
							t.Fatal(err)
						}
						// Whatever the size, nothing is wider than the page.
						if wide := ask[int](p, "document.documentElement.scrollWidth"); int64(wide) > size[0] {
							t.Errorf("the page is %d pixels wide", wide)
						}
						p.sound()
					})
				}
			}
		}
	}
}
