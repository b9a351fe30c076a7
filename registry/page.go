package registry

// MaxPage is how many objects a list gives at the most.
const MaxPage = 200

// Page asks for a part of a list, in the order of ids, which is the order of
// creation.
type Page struct {
	After string // id of the last one seen; empty: from the beginning
	Limit int
	// Search wants objects whose name, or what they are otherwise called by,
	// holds a text, whatever the case; empty: all. Not every list can.
	Search string
}

// Rows is how many rows to read for a page: never none and never all. One more
// than a full page tells whether there is another.
func (p Page) Rows() int { return min(max(p.Limit, 1), MaxPage+1) }
