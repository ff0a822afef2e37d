package geo

import (
	"math"
	"testing"
)

// TestGeodesic holds lengths to published ones: those of the test set of GeographicLib
// and the example of the reference.
func TestGeodesic(t *testing.T) {
	f := func(lat1, lon1, lat2, lon2, want float64) {
		t.Helper()
		for _, got := range []float64{
			geodesic(lat1, lon1, lat2, lon2), geodesic(lat2, lon2, lat1, lon1),
			geodesic(-lat1, lon1, -lat2, lon2), geodesic(lat1, -lon1, lat2, -lon2),
		} {
			if math.Abs(got-want) > 1e-6 {
				t.Errorf("%v %v to %v %v: %.9f, want %.9f", lat1, lon1, lat2, lon2, got, want)
			}
		}
	}
	f(35.60777, -139.44815, -11.17491, -69.95921, 8935244.5604818305)
	f(55.52454, 106.05087, 77.03196, 197.18234, 4105086.1713924406)
	f(-21.97856, 142.59065, 41.84138, 98.56635, 8394328.894657671)
	f(-66.99028, 112.2363, -12.70631, 285.90344, 11150344.2312080241)
	f(-17.42761, 173.34268, -15.84784, 5.93557, 16076603.1631180673)
	f(32.84994, 48.28919, -56.28556, 202.29132, 16727068.9438164461)
	f(6.96833, 52.74123, -7.39675, 206.17291, 17102477.2496958388)
	f(-50.56724, -16.30485, -33.56571, -94.97412, 6455670.5118668696)
	f(-58.93002, -8.90775, -8.91104, 133.13503, 11756066.0219864627)
	f(-68.82867, -74.28391, -50.63005, -8.36685, 3956936.926063544)
	f(-10.62672, -32.0898, 5.883, -134.31681, 11470869.3864563009)
	f(-5, -5, 0, 0, 784028.739809030) // saql.md 12.2 has 784028.74
}

