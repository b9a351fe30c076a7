package remote

// Further words of FetchError, for documents that arrived and are not what
// they should be.
const (
	WordPrivateKey  = "private_key"
	WordTooManyKeys = "too_many_keys"
	WordDiscovery   = "discovery_document"
)
