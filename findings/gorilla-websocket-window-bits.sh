#!/usr/bin/env bash
# github.com/gorilla/websocket: an offer of compression with a small window is accepted without the window.
#
# Expected (RFC 7692, 7.1.2.1: a server that accepts an offer with server_max_window_bits includes the parameter, with the same
# or a smaller value, or else declines the offer): the answer names server_max_window_bits=10, or no extension at all.
# Seen: the answer accepts permessage-deflate without the parameter, so that the server may use a window of 15 bits.
# Consequence: a device that has memory for a small window alone must end the connection, though both sides follow their library.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
version=v1.5.3
cat >go.mod <<EOM
module finding
go 1.24
require github.com/gorilla/websocket $version
EOM
cat >main.go <<'EOG'
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gorilla/websocket"
)

func main() {
	upgrader := websocket.Upgrader{EnableCompression: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			c.Close()
		}
	}))
	defer server.Close()
	request, _ := http.NewRequest("GET", server.URL, nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=10",
	} {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.StatusCode, answer.Header.Get("Sec-WebSocket-Extensions"))
}
EOG
echo "101 permessage-deflate; server_no_context_takeover; client_no_context_takeover" >want
go mod tidy >/dev/null 2>&1
echo "gorilla/websocket $version; expected: server_max_window_bits=10 among the parameters, or no extension; seen:"
go run . | tee got
diff want got
