package protocol

// Rule is a decision of a moderator that is in force for a while or for good.
type Rule struct {
	// Until is when it ends, in milliseconds since the epoch; 0 when it does not.
	Until int64 `json:"until,omitzero"`
	// Seconds is the pause that slow mode asks for.
	Seconds int64 `json:"seconds,omitzero"`
	// Reason is what the moderator gives as the reason.
	Reason string `json:"reason,omitzero"`
	// By is the moderator.
	By User `json:"by,omitzero"`
}

// Decision is a moderator's command on its way to all nodes: the event that members
// get, and what it changes in the rules of its room, or of all rooms where it names
// none.
type Decision struct {
	ModeratedEvent
	// Field is which rule it changes: "ban|USER", "mute|USER", "slow" or "lock"; ""
	// where it changes none.
	Field string `json:"field,omitzero"`
	// Rule is the new rule; nil where the decision ends the one in force.
	Rule *Rule `json:"rule,omitzero"`
}

// PresenceDelta is a change of which users are in a room.
type PresenceDelta struct {
	// Joined and Left are the users who came and went.
	Joined, Left []User
	// Count is how many users are in the room after it.
	Count int
}
