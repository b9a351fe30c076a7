package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// origin is what a server of PostgreSQL comes from. Those of one cluster have
// one system, and each promotion of a standby begins a timeline with the next
// number: of two that take writes, the one with the lower number is an old
// primary that nobody has told of its successor.
type origin struct {
	system   string // empty when the server does not tell
	timeline int64  // 0 of a standby, which takes no writes
}

// before tells whether a server has been succeeded by another one.
func (o origin) before(other origin) bool {
	return o.system != "" && o.system == other.system && 0 < o.timeline && o.timeline < other.timeline
}

// originQuery needs no privileges. The name of a file of the log begins with its
// timeline; pg_control_checkpoint would tell it only some time after a promotion.
const originQuery = `SELECT system_identifier::text,
	CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END
	FROM pg_control_system()`

// untold are the SQLSTATEs of a server that cannot tell where it comes from: one
// that is like PostgreSQL but keeps no log of its own, or forbids the question.
// Any other failure is none of these, or an old primary that is busy would be
// taken for one.
func untold(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && slices.Contains([]string{insufficientPrivilege, undefinedFunction, featureNotSupported}, failure.Code)
}

// originOf asks a server. Of one that cannot tell there is nothing to compare.
func originOf(ctx context.Context, conn *pgconn.PgConn) (origin, error) {
	result := conn.ExecParams(ctx, originQuery, nil, nil, nil, nil).Read()
	switch {
	case untold(result.Err):
		return origin{}, nil
	case result.Err != nil:
		return origin{}, result.Err
	case len(result.Rows) != 1 || len(result.Rows[0]) != 2:
		return origin{}, errors.New("the server does not tell its timeline")
	}
	timeline, err := strconv.ParseInt(string(result.Rows[0][1]), 10, 64)
	return origin{string(result.Rows[0][0]), timeline}, err
}

var errOldPrimary = errors.New("this is an old primary")

const originKey = "cambio: origin"

// validate makes the connections of a configuration refuse old primaries, so
// that pgx tries the next host. It remembers the newest one it has seen.
func (p *primary) validate(config *pgx.ConnConfig) {
	attributes := config.ValidateConnect // target_session_attrs
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if attributes != nil {
			if err := attributes(ctx, conn); err != nil {
				return err
			}
		}
		from, err := originOf(ctx, conn)
		if err != nil {
			return err
		}
		conn.CustomData()[originKey] = from
		return p.accept(from)
	}
}

// accept refuses a server that is older than one that was seen before.
func (p *primary) accept(from origin) error {
	for {
		newest := p.newest.Load()
		switch {
		case newest != nil && from.before(*newest):
			return fmt.Errorf("%w: it is on timeline %d of its cluster, and another server on %d", errOldPrimary, from.timeline, newest.timeline)
		case from.system == "" || from.timeline == 0 || newest != nil && !newest.before(from) && newest.system == from.system:
			return nil
		}
		if p.newest.CompareAndSwap(newest, &from) {
			return nil
		}
	}
}

// outdated tells whether a connection leads to an old primary.
func (p *primary) outdated(conn *pgconn.PgConn) bool {
	from, ok := conn.CustomData()[originKey].(origin)
	newest := p.newest.Load()
	return ok && newest != nil && from.before(*newest)
}

// survey asks each host of a URL that names several, at once: an old primary
// alone would never be found out by those who are connected to it. Hosts that do
// not answer are none of its business.
func (p *primary) survey(ctx context.Context) {
	var all sync.WaitGroup
	for _, host := range p.hosts {
		all.Go(func() {
			conn, err := pgx.ConnectConfig(ctx, host)
			if err == nil {
				_ = conn.Close(ctx)
			}
		})
	}
	all.Wait()
}

// hosts gives a configuration for each host of one with several, and none for
// one with one: there is nothing to compare it with.
func hosts(config *pgx.ConnConfig) []*pgx.ConnConfig {
	var each []*pgx.ConnConfig
	seen := map[string]*pgx.ConnConfig{}
	for _, f := range append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...) {
		// One host may stand there twice, with and without TLS.
		name := fmt.Sprint(f.Host, " ", f.Port)
		if host := seen[name]; host != nil {
			host.Fallbacks = append(host.Fallbacks, f)
			continue
		}
		host := config.Copy()
		seen[name] = host
		host.Host, host.Port, host.TLSConfig, host.Fallbacks = f.Host, f.Port, f.TLSConfig, nil
		each = append(each, host)
	}
	if len(each) < 2 {
		return nil
	}
	return each
}
