package drivers

import (
	"reflect"
	"testing"
	"time"
)

// What was counted of a wire before is added to what is counted now, part by
// part; neither is changed.
func TestWireAfter(t *testing.T) {
	early, late := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)
	wire := func(n uint64, using string, fetched time.Time) Wire {
		return Wire{
			Traffic: Traffic{n, 10 * n, 100 * n}, Connects: n, Using: using, Modbus: &ModbusCounts{n, 2 * n, 3 * n, float64(n) / 2}, Messages: &MessageCounts{n, 2 * n, 3 * n, 4 * n, 5 * n},
			Feed: &FeedCounts{fetched, map[string]uint64{"2xx": n}, n, 2 * n},
		}
	}
	now, before := wire(1, "mqtt://b", early), wire(2, "mqtt://a", late)
	before.Feed.Statuses["429"] = 7
	want := wire(3, "mqtt://b", late)
	want.Feed.Statuses["429"] = 7
	if got := now.After(before); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %+v", got, got.Feed)
	}
	if again := wire(1, "mqtt://b", early); !reflect.DeepEqual(now, again) || before.Feed.Statuses["2xx"] != 2 {
		t.Errorf("it was changed: %+v, %+v", now, before)
	}
	plain := Wire{Traffic: Traffic{1, 2, 3}, Connects: 4}
	if got := plain.After(Wire{}); !reflect.DeepEqual(got, plain) {
		t.Errorf("after nothing: %+v", got)
	}
	if got := plain.After(before); got.Modbus != nil || got.Messages != nil || got.Feed != nil || got.Requests != 3 {
		t.Errorf("parts that the wire does not have: %+v", got)
	}
	if got := (Wire{Feed: &FeedCounts{}}).After(Wire{Feed: &FeedCounts{FilesDone: 1}}); got.Feed.Statuses != nil || got.Feed.FilesDone != 1 {
		t.Errorf("no answers: %+v", got.Feed)
	}
}
