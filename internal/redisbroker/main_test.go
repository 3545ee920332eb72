package redisbroker_test

import (
	"os"
	"testing"

	"example.com/chat/internal/chattest"
)

func TestMain(m *testing.M) {
	chattest.RunAtOnce(6)
	os.Exit(m.Run())
}
