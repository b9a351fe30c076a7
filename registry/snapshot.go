package registry

import "slices"

// Snapshot is all that the token endpoint must know, as of one moment. It is
// built once and never changed, so that it is read without locks.
type Snapshot struct {
	integrators map[string]*Integrator
	clients     map[string]*Client
	keyURLs     map[issuerKey][]*KeyURL
	clientless  map[string][]*KeyURL
	keySources  map[KeySource]int64 // epoch
	lockHolders map[lockHolderKey]string
	managed     map[Link]bool
	scopeRules  map[string][]ScopeRule
	servers     map[string]*ResourceServer
	audiences   map[string]bool

	unreadableClients map[string]bool
	unreadableKeyURLs []UnreadableKeyURL
}

// UnreadableKeyURL is whose key URL holds what nobody can read.
type UnreadableKeyURL struct{ IntegratorID, Issuer string }

type issuerKey struct{ integratorID, issuer string }

type lockHolderKey struct{ country, organization, suffix string }

// Link says that an integrator manages a lock holder.
type Link struct{ IntegratorID, LockHolderID string }

// Contents is what a snapshot is built from.
type Contents struct {
	Integrators     []Integrator
	KeyURLs         []KeyURL
	Clients         []Client
	LockHolders     []LockHolder
	Links           []Link
	ScopeRules      []ScopeRule // in their order
	ResourceServers []ResourceServer

	// Of what cannot be read, nobody can say what it allows.
	UnreadableClients []string // client_ids
	UnreadableKeyURLs []UnreadableKeyURL
}

// NewSnapshot indexes contents, which must not be changed afterwards.
func NewSnapshot(c Contents) *Snapshot {
	s := &Snapshot{
		integrators: make(map[string]*Integrator, len(c.Integrators)),
		clients:     make(map[string]*Client, len(c.Clients)),
		keyURLs:     make(map[issuerKey][]*KeyURL, len(c.KeyURLs)),
		clientless:  map[string][]*KeyURL{},
		keySources:  make(map[KeySource]int64, len(c.KeyURLs)),
		lockHolders: make(map[lockHolderKey]string, len(c.LockHolders)),
		managed:     make(map[Link]bool, len(c.Links)),
		scopeRules:  map[string][]ScopeRule{},
		servers:     make(map[string]*ResourceServer, len(c.ResourceServers)),
		audiences:   make(map[string]bool, len(c.ResourceServers)),
	}
	for i := range c.Integrators {
		s.integrators[c.Integrators[i].ID] = &c.Integrators[i]
	}
	for i := range c.KeyURLs {
		k := &c.KeyURLs[i]
		if k.Status != Active {
			continue
		}
		s.keySources[k.Source()] = max(s.keySources[k.Source()], k.KeysEpoch)
		key := issuerKey{k.IntegratorID, k.Issuer}
		s.keyURLs[key] = append(s.keyURLs[key], k)
		if k.Clientless {
			s.clientless[k.Issuer] = append(s.clientless[k.Issuer], k)
		}
	}
	for i := range c.Clients {
		client := &c.Clients[i]
		s.clients[client.ClientID] = client
		if client.JWKSURI != "" && client.Status == Active {
			s.keySources[client.KeySource()] += 0 // it may be a key URL's, too, with an epoch
		}
	}
	for _, h := range c.LockHolders {
		s.lockHolders[lockHolderKey{h.CountryISO, h.OrganizationID, h.OrganizationIDSuffix}] = h.ID
	}
	for _, l := range c.Links {
		s.managed[l] = true
	}
	for _, r := range c.ScopeRules {
		s.scopeRules[r.IntegratorID] = append(s.scopeRules[r.IntegratorID], r)
	}
	for i := range c.ResourceServers {
		s.servers[c.ResourceServers[i].ID] = &c.ResourceServers[i]
		s.audiences[c.ResourceServers[i].Audience] = true
	}
	s.unreadableKeyURLs = c.UnreadableKeyURLs
	s.unreadableClients = make(map[string]bool, len(c.UnreadableClients))
	for _, clientID := range c.UnreadableClients {
		s.unreadableClients[clientID] = true
	}
	return s
}

// Unreadable counts the objects that cannot be read.
func (s *Snapshot) Unreadable() int { return len(s.unreadableClients) + len(s.unreadableKeyURLs) }

// UnreadableClient tells whether there is a client of this client_id of which
// nobody can say more.
func (s *Snapshot) UnreadableClient(clientID string) bool { return s.unreadableClients[clientID] }

// UnreadableKeyURL tells whether an issuer has a key URL, of one integrator or
// of any, of which nobody can say more.
func (s *Snapshot) UnreadableKeyURL(integratorID, issuer string) bool {
	return slices.ContainsFunc(s.unreadableKeyURLs, func(u UnreadableKeyURL) bool {
		return u.Issuer == issuer && (integratorID == "" || u.IntegratorID == integratorID)
	})
}

// Integrator gives an integrator, or nil.
func (s *Snapshot) Integrator(id string) *Integrator { return s.integrators[id] }

// Client gives the client of a client_id, or nil.
func (s *Snapshot) Client(clientID string) *Client { return s.clients[clientID] }

// KeyURLs gives the active key URLs of an integrator for an issuer.
func (s *Snapshot) KeyURLs(integratorID, issuer string) []*KeyURL {
	return s.keyURLs[issuerKey{integratorID, issuer}]
}

// Clientless gives the active key URLs of all integrators for an issuer that
// allow exchanges without a client.
func (s *Snapshot) Clientless(issuer string) []*KeyURL { return s.clientless[issuer] }

// LockHolder gives the id of a lock holder, and whether it exists.
func (s *Snapshot) LockHolder(country, organization, suffix string) (id string, known bool) {
	id, known = s.lockHolders[lockHolderKey{country, organization, suffix}]
	return id, known
}

// Manages tells whether an integrator manages a lock holder.
func (s *Snapshot) Manages(integratorID, lockHolderID string) bool {
	return s.managed[Link{integratorID, lockHolderID}]
}

// ResourceServer gives a resource server, or nil.
func (s *Snapshot) ResourceServer(id string) *ResourceServer { return s.servers[id] }

// HasAudience tells whether a resource server of that audience exists.
func (s *Snapshot) HasAudience(audience string) bool { return s.audiences[audience] }

// HasKeySource tells whether an active key URL or client has its keys there.
func (s *Snapshot) HasKeySource(source KeySource) bool {
	_, ok := s.keySources[source]
	return ok
}

// KeysEpoch gives the epoch of a key source: keys fetched under an older one are
// not used.
func (s *Snapshot) KeysEpoch(source KeySource) int64 { return s.keySources[source] }

// SingleUse tells whether a token of an issuer is exchanged once: any of its key
// URLs says so for all, or the sender could choose another.
func (s *Snapshot) SingleUse(integratorID, issuer string) bool {
	return slices.ContainsFunc(s.KeyURLs(integratorID, issuer), func(k *KeyURL) bool { return k.SingleUse })
}

// ScopeRules gives the rules of an integrator, in their order.
func (s *Snapshot) ScopeRules(integratorID string) []ScopeRule { return s.scopeRules[integratorID] }
