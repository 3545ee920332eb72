package replica

// appendSliding appends to a list whose oldest elements are cut off by reslicing it, as
// many as are appended in the long run. When the list has come to the end of its array,
// append would allocate another one each time; this moves the list back to the array's
// beginning. array remembers the array and is of no other use. Slices of the list that
// were taken before are overwritten.
func appendSliding[T any](array *[]T, list []T, x T) []T {
	if len(list) == cap(list) {
		list = makeRoom(array, list)
	}
	return append(list, x)
}

// makeRoom returns the list with room for more: in its array, where more than a quarter
// of its length was cut off there, or else in a larger one.
func makeRoom[T any](array *[]T, list []T) []T {
	whole := (*array)[:cap(*array)]
	cut := len(whole) - cap(list)
	if len(list) > 0 && 4*cut > len(list) && &whole[len(whole)-1] == &list[len(list)-1] {
		moved := append(whole[:0], list...)
		clear(whole[len(moved):]) // so that what they point to can be freed
		return moved
	}
	larger := make([]T, len(list), len(list)+len(list)/2+8)
	copy(larger, list)
	*array = larger[:0]
	return larger
}
