package protocol

// The actions of moderate.
const (
	Kick   = "kick"
	Ban    = "ban"
	Unban  = "unban"
	Mute   = "mute"
	Unmute = "unmute"
	Slow   = "slow"
	Lock   = "lock"
	Unlock = "unlock"
)

// aims maps each action to whether it is about a user; the others are about a room.
var aims = map[string]bool{
	Kick: true, Ban: true, Unban: true, Mute: true, Unmute: true,
	Slow: false, Lock: false, Unlock: false,
}

// maxSeconds bounds the duration of a decision: ten years.
const maxSeconds = 10 * 366 * 24 * 3600

// AimsAtUser reports whether an action is about a user, not a room.
func AimsAtUser(action string) bool { return aims[action] }

func action(w *wire, c *Command) (err *Error) {
	c.Action, err = w.str(w.Action, "action")
	if err != nil {
		return err
	}
	toUser, ok := aims[c.Action]
	if !ok {
		return Errorf(CodeBadField, "action must be one of kick, ban, unban, mute, unmute, slow, lock and unlock")
	}
	if toUser && !present(w.User) {
		return Errorf(CodeBadField, "user is missing: %s needs the id of one", c.Action)
	}
	return nil
}

func seconds(w *wire, c *Command) *Error {
	n, ok, err := w.integer(w.Seconds, "seconds")
	if err != nil {
		return err
	}
	if ok && (n < 0 || n > maxSeconds) {
		return Errorf(CodeBadField, "seconds must be between 0 and ten years")
	}
	c.Seconds = n
	return nil
}
