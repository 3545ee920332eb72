package redisbroker

// Scripts returns the sources of the Lua scripts by their names, as Redis gets them. The
// embedded broker carries some of them out in Go (embed/native), and its tests compare
// both.
func Scripts() map[string]string {
	return map[string]string{
		"append": appendScript.source,
		"read":   readLog.source,
		"here":   hereScript.source,
		"lease":  leaseScript.source,
		"names":  namesScript.source,
		"list":   listScript.source,
		"rooms":  roomsScript.source,
	}
}
