// Makes the template of docs/examples/rotation.ts, to see that it is one.
import { App } from 'aws-cdk-lib';
import { RotationStack } from './rotation';

const app = new App({ outdir: process.argv[2] });
new RotationStack(app, 'Rotation');
app.synth();
