// What a page needs to show the scene of the points and nothing else, for proofs and measurements to drive.
import { PointsScene } from "../src/gl/points";
import { PictureCache } from "../src/lib/sheet";

Object.assign(window, { PointsScene, PictureCache });
