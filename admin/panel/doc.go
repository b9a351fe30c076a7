// Package panel is the admin panel: pages for operators and for integrators'
// engineers. It asks the admin API, in this process, as whoever is signed in, so
// that it can show and change nothing that the API would not. It knows no
// database but for its sessions, and no other room.
package panel
