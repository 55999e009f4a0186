package ingest

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// postBatch takes one signed batch. The answer 200 means that it is on disk.
func (s *Service) postBatch(w http.ResponseWriter, r *http.Request, peer identity.Peer, raw []byte) error {
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != batch.MediaType {
		return refuse(http.StatusUnsupportedMediaType, "invalid_request", "send a batch as %s", batch.MediaType)
	}
	received := s.now()
	b, key, err := s.verify(r.Context(), raw, peer, received)
	if err != nil {
		return err
	}
	head, refused, err := s.store(r.Context(), b, s.statementsOf(b, key), received)
	if err != nil {
		return err
	}
	answer := map[string]any{"sequence": head, "takes_statements": true} // of months: an older relay would not look at them
	if len(refused) > 0 {
		answer["refused_statements"] = refused // a gateway of before there were any passes over it
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// verify decodes a batch and checks that the gateway at the other end signed
// it, with a certificate that held when the batch was made.
func (s *Service) verify(ctx context.Context, raw []byte, peer identity.Peer, received time.Time) (*batch.Signed, *ecdsa.PublicKey, error) {
	b, err := batch.Decode(raw)
	if err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "invalid_batch", "%v", err)
	}
	if b.Gateway != peer.Application {
		return nil, nil, refuse(http.StatusForbidden, "access_denied", "the batch is of gateway %.200q, the client certificate is for %s", b.Gateway, peer.Application)
	}
	if err := checkTimes(&b.Batch, received); err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "invalid_batch", "%v", err)
	}
	key, err := s.signed(ctx, b, peer)
	if err != nil {
		return nil, nil, err
	}
	return b, key, nil
}

// readBody reads a request's body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, refuse(http.StatusRequestEntityTooLarge, "too_large", "%d bytes, at most %d are taken", r.ContentLength, limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "too_large", "more than %d bytes", limit)
	} else if err != nil {
		return nil, refuse(http.StatusBadRequest, "invalid_request", "the body broke off")
	}
	return body, nil
}
