package permission

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// mostTold is how many withdrawals a gateway may name in one request.
const mostTold = 64

// endTold ends those of a gateway's permissions that it names as withdrawn,
// with commas between. A gateway does so when we gave it one as live that it has
// seen withdrawn: when our database was put back to a backup of before the
// withdrawal (uplink/ended.go). It can end its own permissions only, which it
// could starve anyway; nothing else hears of it.
func (s *Service) endTold(ctx context.Context, gateway, told string) error {
	if told == "" {
		return nil
	}
	for i, id := range strings.Split(told, ",") {
		if id = strings.TrimSpace(id); i >= mostTold || id == "" || len(id) > 128 || !plain(id) {
			continue
		}
		var there string
		err := s.db.QueryRowContext(ctx, `SELECT id FROM permissions WHERE id = $1 AND gateway = $2 AND revoked = 0`, id, gateway).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		s.log.Warn("permission: a gateway has seen the withdrawal of a permission that is in force here: was the database put back to a backup?", "permission", id, "gateway", gateway)
		if _, err := s.withdraw(ctx, id, byGateway); err != nil {
			return err
		}
	}
	return nil
}
