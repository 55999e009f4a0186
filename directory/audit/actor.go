package audit

import "context"

type actorKey struct{}

// Nobody is the actor where none was named: the program itself.
const Nobody = "program"

// WithActor says who acts under a context: kind:name, such as
// person:dana@example.org, token:1f2e3d4c (the beginning of its hash),
// gateway:ab12cd34ef56 or operator:root@host.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf is who acts under a context.
func ActorOf(ctx context.Context) string {
	if a, ok := ctx.Value(actorKey{}).(string); ok && a != "" {
		return a
	}
	return Nobody
}
