// What a page needs to show the scene of the volume and nothing else, for proofs and measurements to drive.
import { VolumeScene } from "../src/gl/volumescene";

Object.assign(window, { VolumeScene });
