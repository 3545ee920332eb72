package protocol

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docTable is a table of docs/protocol.md: the cells of each row, by the first cell.
type docTable struct {
	rows map[string][]string
	list []string // the first cells, in their order
}

// docTables reads docs/protocol.md into its tables, by the header of their first
// columns.
func docTables(t *testing.T) map[string]docTable {
	t.Helper()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := make(map[string]docTable)
	header := ""
	section := ""
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		if !strings.HasPrefix(line, "|") {
			header = ""
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		switch {
		case header == "":
			header = section + ": " + cells[0]
			tables[header] = docTable{rows: make(map[string][]string)}
		case strings.HasPrefix(cells[0], "---"):
		default:
			name := strings.Trim(cells[0], "`")
			table := tables[header]
			if table.rows[name] != nil {
				t.Errorf("%s: %s stands twice", header, name)
			}
			table.rows[name], table.list = cells[1:], append(table.list, name)
			tables[header] = table
		}
	}
	return tables
}

var quoted = regexp.MustCompile("`([a-z_]+)`")

// namesIn returns what stands in backquotes in a cell, sorted.
func namesIn(cell string) []string {
	var list []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	slices.Sort(list)
	return list
}

// checkFields compares two cells, of required and optional fields, with a struct.
func checkFields(t *testing.T, what string, row []string, v any) {
	t.Helper()
	if len(row) < 2 {
		t.Errorf("docs/protocol.md has no %s", what)
		return
	}
	names, optional := jsonFields(v)
	var must, may []string
	for _, name := range names {
		if optional[name] {
			may = append(may, name)
		} else {
			must = append(must, name)
		}
	}
	slices.Sort(must)
	slices.Sort(may)
	if got := namesIn(row[0]); !slices.Equal(got, must) {
		t.Errorf("docs/protocol.md gives %s the fields %v, its struct has %v", what, got, must)
	}
	if got := namesIn(row[1]); !slices.Equal(got, may) {
		t.Errorf("docs/protocol.md gives %s the optional fields %v, its struct has %v", what, got, may)
	}
}

// jsonType is the name by which docs/protocol.md calls a Go type.
func jsonType(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Pointer:
		return jsonType(typ.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "array"
	case reflect.Map, reflect.Struct:
		return "object"
	}
	return "string"
}

// checkTypes compares a table of fields with the fields of structs.
func checkTypes(t *testing.T, what string, table docTable, structs []any, except ...string) {
	t.Helper()
	types := make(map[string]string)
	for _, v := range structs {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if got := jsonType(typ.Field(i).Type); !slices.Contains(except, name) {
				if types[name] != "" && types[name] != got {
					t.Errorf("%s: %s is of two types", what, name)
				}
				types[name] = got
			}
		}
	}
	documented := make(map[string]string)
	for name, row := range table.rows {
		documented[name] = row[0]
	}
	if !maps.Equal(types, documented) {
		t.Errorf("docs/protocol.md has the fields of %s as %v, the structs %v", what, documented, types)
	}
}

// TestTheProtocolsPageListsTheStructs compares the tables of docs/protocol.md with the
// structs of commands and events, in both directions: names, fields, JSON types, and
// whether a field is optional.
func TestTheProtocolsPageListsTheStructs(t *testing.T) {
	t.Parallel()
	tables := docTables(t)
	commands := tables["Commands: command"]
	var structs []any
	for _, c := range clientCommands {
		checkFields(t, c.Type(), commands.rows[c.Type()], c)
		structs = append(structs, c)
	}
	if len(commands.rows) != len(clientCommands) {
		t.Errorf("docs/protocol.md has the commands %v", commands.list)
	}
	checkTypes(t, "commands", tables["Commands: field"], structs)

	events := tables["Replies and events: event"]
	structs = nil
	for name, v := range eventStructs {
		checkFields(t, name, events.rows[name], v)
		structs = append(structs, v)
	}
	if len(events.rows) != len(eventStructs) {
		t.Errorf("docs/protocol.md has the events %v", events.list)
	}
	checkTypes(t, "events", tables["Replies and events: field"], structs, "user", "node") // these are explained below the table

	objects := map[string]any{"user": User{}, "node": Node{}, "limits": Limits{}, "reaction": Reaction{}, "room": RoomCount{}, "rule": BindingRule{}}
	table := tables["Replies and events: object"]
	for name, v := range objects {
		checkFields(t, "object "+name, table.rows[name], v)
	}
	if len(table.rows) != len(objects) {
		t.Errorf("docs/protocol.md has the objects %v", table.list)
	}
}

// TestTheProtocolsPageListsTheCodes compares the error and close codes of
// docs/protocol.md with the tables of this package, in both directions.
func TestTheProtocolsPageListsTheCodes(t *testing.T) {
	t.Parallel()
	tables := docTables(t)
	codes := make(map[string][]string)
	for code, info := range Codes {
		retry := "no"
		if info.Retry {
			retry = "yes"
		}
		codes[string(code)] = []string{strconv.Itoa(info.Status), retry}
	}
	documented := make(map[string][]string)
	for code, row := range tables["Error codes: code"].rows {
		documented[code] = row[:2]
	}
	if !reflect.DeepEqual(codes, documented) {
		t.Errorf("docs/protocol.md has the error codes %v, the program %v", documented, codes)
	}

	source, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	var closes []string
	for _, m := range regexp.MustCompile(`(?m)^\tClose\w+ += (\d{4})$`).FindAllStringSubmatch(string(source), -1) {
		closes = append(closes, m[1])
	}
	if got := tables["Close codes: code"].list; len(closes) == 0 || !slices.Equal(got, closes) {
		t.Errorf("docs/protocol.md has the close codes %v, the program %v", got, closes)
	}
}

// TestTheProtocolsPageGivesTheLimits compares the limits that are constants.
func TestTheProtocolsPageGivesTheLimits(t *testing.T) {
	t.Parallel()
	table := docTables(t)["Limits: what"]
	for what, limit := range map[string]int{
		"room name": MaxRoomLen, "display name": MaxNameLen, "key": MaxKeyLen, "ref": MaxRefLen, "reason": MaxReasonLen,
		"messages of a join without cursor": NewestCount, "entries that a join recovers": MaxRecovered,
		"bytes of the messages of a joined": MaxJoined, "messages of a history": MaxHistory,
		"bytes of the messages of a history": MaxHistoryBytes, "members or rooms of a reply": MaxListed, "remembered keys": KeysKept,
	} {
		row := table.rows[what]
		if len(row) != 1 || strings.Fields(row[0])[0] != strconv.Itoa(limit) {
			t.Errorf("docs/protocol.md says of %s %q, the program %d", what, row, limit)
		}
	}
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	frame := "6 × `limits.text` + 4,096"
	if (Limits{Text: 1000}).FrameLimit() != 6*1000+4096 || !strings.Contains(string(page), frame) {
		t.Errorf("docs/protocol.md does not say %s", frame)
	}
}
