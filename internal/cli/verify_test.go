package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kept is the history of one message: sent, acknowledged, received, and in the log.
const kept = `{"at":1,"op":"joined","client":"a","conn":1,"room":"lobby"}
{"at":2,"op":"send","client":"a","conn":1,"room":"lobby","user":"u","key":"1","text":"hello"}
{"at":3,"op":"sent","client":"a","conn":1,"room":"lobby","user":"u","key":"1","id":"1000-1"}
{"at":4,"op":"message","client":"a","conn":1,"room":"lobby","user":"u","key":"1","text":"hello","id":"1000-1"}
{"at":5,"op":"end","client":"a","conn":1,"room":"lobby"}
{"at":6,"op":"log","room":"lobby","user":"u","key":"1","text":"hello","id":"1000-1"}
`

// wipe is a reset, and entered a message in the log that follows it.
const wipe = `{"at":5,"op":"reset","client":"a","conn":1,"room":"lobby"}
`

const entered = `{"at":6,"op":"joined","client":"a","conn":1,"room":"lobby"}
{"at":7,"op":"send","client":"a","conn":1,"room":"lobby","user":"u","key":"2","text":"anew"}
{"at":8,"op":"message","client":"a","conn":1,"room":"lobby","user":"u","key":"2","text":"anew","id":"2000-1"}
{"at":8,"op":"sent","client":"a","conn":1,"room":"lobby","user":"u","key":"2","id":"2000-1"}
{"at":9,"op":"end","client":"a","conn":1,"room":"lobby"}
{"at":9,"op":"log","room":"lobby","user":"u","key":"2","text":"anew","id":"2000-1"}
`

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", kept)
	bad := write("bad", strings.Replace(kept, `"op":"log","room":"lobby","user":"u","key":"1"`, `"op":"log","room":"lobby","user":"u","key":"2"`, 1))
	endless := strings.Replace(kept, `"op":"log"`, `"op":"refused"`, 1)
	mute := write("mute", `{"at":1,"op":"joined","client":"a","conn":1,"room":"lobby"}`+"\n")
	wiped := write("wiped", kept[:strings.Index(kept, `{"at":5,`)]+wipe+entered)
	for _, c := range []struct {
		args   []string
		stdin  string
		want   string // in the output
		wantEr string
	}{
		{[]string{good}, "", "every promise was kept\n  sent 1, acknowledged 1, unknown 0; in the logs 1, heard 1", ""},
		{[]string{"-"}, kept, "-: every promise was kept", ""},
		{[]string{good, bad}, "", `lost: room "lobby": "1" of u was acknowledged as 1000-1, which is "2" of u`, "1 of 2 histories break a promise"},
		{[]string{"-"}, endless, "", "-: it can't be judged: 1 messages were acknowledged, and its end is missing"},
		{[]string{good, mute}, "", "mute: none: nothing was sent", "in 1 of 2 histories nothing was sent"},
		{[]string{good, wiped}, "", "wiped: Redis lost what it had acknowledged (1 message), and everybody in the rooms was told\n",
			`in 1 of 2 histories Redis lost what it had acknowledged: "What is not promised" in GUARANTEES.md`},
		{[]string{write("empty", "")}, "", "", "holds no record"},
		{[]string{write("rubbish", kept+"rubbish\n")}, "", "", "line 7 is no record"},
		{[]string{filepath.Join(dir, "none")}, "", "", "no such file"},
		{nil, "", "", "needs a file"},
		{[]string{"--loud"}, "", "", "unknown flag"},
		{[]string{"--help"}, "", "chat verify FILE", ""},
	} {
		var out bytes.Buffer
		err := Verify(c.args, strings.NewReader(c.stdin), &out)
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%v prints %q, want %q", c.args, out.String(), c.want)
		}
		if (err == nil) != (c.wantEr == "") || err != nil && !strings.Contains(err.Error(), c.wantEr) {
			t.Errorf("%v ends with %v, want %q", c.args, err, c.wantEr)
		}
	}
}
