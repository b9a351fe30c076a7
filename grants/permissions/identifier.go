package permissions

import (
	"errors"
	"strings"
)

// Identifier names a lock holder: the country, the organisation, and a suffix
// that may be empty. Three parts, never one joined string.
type Identifier struct {
	CountryISO           string // two capital letters
	OrganizationID       string // 4 to 1024 of A-Z a-z 0-9 _ -
	OrganizationIDSuffix string // 0 to 1024 of the same
}

// Bounds of the parts of an identifier, in bytes.
const (
	MinOrganizationID = 4
	MaxOrganizationID = 1024
)

var errIdentifier = errors.New("want " + LockHolderPrefix + "CC.ORG.SUFFIX")

// ParseIdentifier reads lockHolder.identifier:CC.ORG.SUFFIX. No part can hold a
// dot, so the text splits in exactly one way; the last dot stays when SUFFIX is
// empty.
func ParseIdentifier(text string) (Identifier, error) {
	rest, ok := strings.CutPrefix(text, LockHolderPrefix)
	if !ok || strings.Count(rest, ".") != 2 {
		return Identifier{}, errIdentifier
	}
	country, rest, _ := strings.Cut(rest, ".")
	organization, suffix, _ := strings.Cut(rest, ".")
	identifier := Identifier{CountryISO: country, OrganizationID: organization, OrganizationIDSuffix: suffix}
	if !ValidCountry(country) || !ValidOrganization(organization) || !ValidSuffix(suffix) {
		return Identifier{}, errIdentifier
	}
	return identifier, nil
}

// String is the scope: the very text that was parsed.
func (i Identifier) String() string {
	return LockHolderPrefix + i.CountryISO + "." + i.OrganizationID + "." + i.OrganizationIDSuffix
}

// ValidCountry tells whether s is two capital letters (ISO 3166-1 alpha-2).
func ValidCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// ValidOrganization tells whether s can be an organisation id.
func ValidOrganization(s string) bool {
	return len(s) >= MinOrganizationID && ValidSuffix(s)
}

// ValidSuffix tells whether s can be a suffix; the empty one can.
func ValidSuffix(s string) bool {
	if len(s) > MaxOrganizationID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
